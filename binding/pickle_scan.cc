#include "pickle_scan.h"

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <vector>

namespace torch_learner {
namespace {

constexpr uint32_t kDeepest = 64;
constexpr std::string_view kOrderedDict = "collections OrderedDict";

constexpr std::array<std::string_view, 13> kAllowed = {
    kOrderedDict,
    "torch._utils _rebuild_tensor_v2",
    "torch._utils _rebuild_parameter",
    "torch FloatStorage",
    "torch DoubleStorage",
    "torch HalfStorage",
    "torch BFloat16Storage",
    "torch LongStorage",
    "torch IntStorage",
    "torch ShortStorage",
    "torch CharStorage",
    "torch ByteStorage",
    "torch BoolStorage",
};

[[noreturn]] void fail(const std::string& what) { throw FileFormatError(what); }

// Runs a pickle without making its values, and writes it again on the way.
class Scanner {
 public:
  explicit Scanner(std::string_view bytes) : bytes_(bytes) {}

  CleanPickle run() {
    for (;;) {
      at_ = position_;
      const auto code = static_cast<unsigned char>(*take(1));
      if (code == '.') break;
      keep_ = true;
      step(code);
      if (keep_) out_.append(bytes_.substr(at_, position_ - at_));
    }
    if (stack_.size() != 1 || !marks_.empty()) fail("its pickle doesn't end with one value");
    out_ += '.';
    return {std::move(out_), position_};
  }

 private:
  struct Node {
    uint32_t depth;
    bool ordered_dict = false;  // the class
  };
  struct Item {
    size_t node;
    size_t start;  // where the instructions that make it begin in the output
    bool fresh;    // not fetched from the memo, and so not part of another value
  };
  struct Mark {
    size_t height, start;
  };
  struct Memo {
    size_t node = SIZE_MAX;
    bool kept = false;  // whether the output has the instruction that noted it
  };

  const char* take(size_t count) {
    if (count > bytes_.size() - position_) fail("its pickle is cut off");
    const char* start = bytes_.data() + position_;
    position_ += count;
    return start;
  }

  template <class T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)), sizeof(T));
    return value;
  }

  std::string_view line() {
    const size_t end = bytes_.find('\n', position_);
    if (end == std::string_view::npos) fail("its pickle is cut off");
    const std::string_view text = bytes_.substr(position_, end - position_);
    position_ = end + 1;
    return text;
  }

  void push(uint32_t depth, size_t start) {
    if (depth > kDeepest) fail("its values are nested too deeply");
    stack_.push_back({nodes_.size(), start, true});
    nodes_.push_back({depth});
  }
  void push() { push(0, out_.size()); }

  // Whether there are `count` values after the last mark.
  void need(size_t count) const {
    const size_t floor = marks_.empty() ? 0 : marks_.back().height;
    if (stack_.size() < floor + count) fail("its pickle takes values that aren't there");
  }

  struct Taken {
    uint32_t depth;  // of the deepest
    size_t start;    // of the first
  };

  Taken pop(size_t count) {
    need(count);
    Taken taken{0, out_.size()};
    for (size_t i = 0; i < count; ++i) {
      taken.depth = std::max(taken.depth, nodes_[stack_.back().node].depth);
      taken.start = stack_.back().start;
      stack_.pop_back();
    }
    return taken;
  }

  Taken pop_to_mark(bool even = false) {
    if (marks_.empty()) fail("its pickle takes a mark that isn't there");
    const Mark mark = marks_.back();
    const size_t count = stack_.size() - mark.height;
    if (even && count % 2 != 0) fail("its pickle has a key without a value");
    const Taken taken = pop(count);
    marks_.pop_back();
    return {taken.depth, mark.start};
  }

  void combine(const Taken& taken) { push(taken.depth + 1, taken.start); }

  // Puts values into the container that is on top of the stack now.
  void insert(const Taken& taken) {
    need(1);
    if (!stack_.back().fresh) fail("its pickle changes a value that is part of another");
    uint32_t& depth = nodes_[stack_.back().node].depth;
    depth = std::max(depth, taken.depth + 1);
    if (depth > kDeepest) fail("its values are nested too deeply");
  }

  // Takes back what the output has from `start` on.
  void retract(size_t start) {
    keep_ = false;
    out_.resize(start);
    for (; !noted_.empty() && noted_.back().second >= start; noted_.pop_back()) memo_[noted_.back().first].kept = false;
  }

  void remember(size_t id) {
    need(1);
    // numbered as they come; a large number alone would make the unpickler allocate a table of that size
    if (id > memo_.size() + 1) fail("its pickle numbers its values out of order");
    if (id >= memo_.size()) memo_.resize(id + 1);
    memo_[id] = {stack_.back().node, true};
    noted_.emplace_back(id, out_.size());
  }

  void recall(size_t id) {
    if (id >= memo_.size() || memo_[id].node == SIZE_MAX) fail("its pickle fetches a value that isn't there");
    stack_.push_back({memo_[id].node, out_.size(), false});
    if (memo_[id].kept) return;
    // Part of something that is left out. A null stands for it: either it is left out itself, or no tensor comes of it.
    keep_ = false;
    out_ += 'N';
  }

  void global() {
    std::string name(line());
    name += ' ';
    name += line();
    if (std::find(kAllowed.begin(), kAllowed.end(), name) == kAllowed.end()) {
      std::replace(name.begin(), name.end(), ' ', '.');
      fail("it holds a " + name.substr(0, 100) +
           ", which is neither a plain value nor a tensor of a known dtype: save model.state_dict()");
    }
    push();
    nodes_.back().ordered_dict = name == kOrderedDict;
  }

  void empty_tuple() {
    const bool called = position_ < bytes_.size() && bytes_[position_] == 'R';
    if (!called || stack_.empty() || !nodes_[stack_.back().node].ordered_dict) return push();
    position_++;
    const Taken taken = pop(1);
    retract(taken.start);
    push(0, taken.start);
    out_ += '}';
  }

  void call() {
    need(2);
    if (nodes_[stack_[stack_.size() - 2].node].ordered_dict) fail("it has an OrderedDict made in an unknown way");
    combine(pop(2));
  }

  void build() {
    const Taken state = pop(1);
    need(1);
    retract(state.start);
  }

  void step(unsigned char code) {
    switch (code) {
      case 0x80:  // PROTO
        if (number<uint8_t>() != 2) fail("its pickle has another protocol than 2");
        return;
      case 'N':
      case 0x88:
      case 0x89:  // null and truth values
      case '}':
      case ']':  // empty containers
        return push();
      case 'K':  // integers
        return take(1), push();
      case 'M':
        return take(2), push();
      case 'J':
        return take(4), push();
      case 0x8a:
        return take(number<uint8_t>()), push();
      case 'G':  // a double
        return take(8), push();
      case 'X':  // a string
        return take(number<uint32_t>()), push();
      case 'c':
        return global();
      case 'q':  // the memo
        return remember(number<uint8_t>());
      case 'r':
        return remember(number<uint32_t>());
      case 'h':
        return recall(number<uint8_t>());
      case 'j':
        return recall(number<uint32_t>());
      case '(':
        return marks_.push_back({stack_.size(), out_.size()});
      case ')':  // tuples
        return empty_tuple();
      case 't':
        return combine(pop_to_mark());
      case 0x85:
        return combine(pop(1));
      case 0x86:
        return combine(pop(2));
      case 0x87:
        return combine(pop(3));
      case 'Q':  // a storage, from its description
        return combine(pop(1));
      case 'R':
        return call();
      case 'a':
        return insert(pop(1));
      case 's':
        return insert(pop(2));
      case 'e':
        return insert(pop_to_mark());
      case 'u':
        return insert(pop_to_mark(true));
      case 'b':
        return build();
      default:
        fail("its pickle has an instruction (" + std::to_string(code) + ") that no state dict needs");
    }
  }

  std::string_view bytes_;
  size_t position_ = 0;
  size_t at_ = 0;     // where the instruction begins
  bool keep_ = true;  // whether it goes into the output as it is
  std::string out_;
  std::vector<Node> nodes_;
  std::vector<Item> stack_;
  std::vector<Mark> marks_;
  std::vector<Memo> memo_;
  std::vector<std::pair<size_t, size_t>> noted_;  // memo numbers, and where in the output they were noted
};

}  // namespace

CleanPickle clean_pickle(std::string_view bytes) { return Scanner(bytes).run(); }

}  // namespace torch_learner
