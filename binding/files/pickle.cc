#include "pickle.h"

#include <algorithm>
#include <array>
#include <cstring>

namespace torch_learner {
namespace {

// Room for 150,000 tensors.
constexpr size_t kMostValues = 1 << 21;
constexpr uint32_t kNothing = UINT32_MAX;

constexpr std::string_view kOrderedDict = "collections OrderedDict";
constexpr std::string_view kTensor = "torch._utils _rebuild_tensor_v2";
constexpr std::string_view kParameter = "torch._utils _rebuild_parameter";

constexpr std::array<std::string_view, 13> kAllowed = {
    kOrderedDict,
    kTensor,
    kParameter,
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

}  // namespace

// Follows a pickle's instructions.
class PickleMachine {
 public:
  PickleMachine(Pickle& pickle, std::string_view bytes) : pickle_(pickle), bytes_(bytes) {}

  void run() {
    for (unsigned char code; (code = number<uint8_t>()) != '.';) step(code);
    if (stack_.size() != 1 || !marks_.empty()) fail("its pickle doesn't end with one value");
    pickle_.root_ = stack_[0];
    pickle_.length_ = position_;
  }

 private:
  using Kind = PickleKind;
  using Items = std::vector<uint32_t>;

  std::string_view take(size_t count) {
    if (count > bytes_.size() - position_) fail("its pickle is cut off");
    position_ += count;
    return bytes_.substr(position_ - count, count);
  }

  template <class T>
  T number() {
    T value;
    std::memcpy(&value, take(sizeof(T)).data(), sizeof(T));
    return value;
  }

  std::string_view line() {
    const size_t end = bytes_.find('\n', position_);
    if (end == std::string_view::npos) fail("its pickle is cut off");
    const std::string_view text = take(end - position_);
    position_++;
    return text;
  }

  PickleValue& push(Kind kind) {
    if (pickle_.values_.size() >= kMostValues) fail("its pickle has too many values");
    stack_.push_back(static_cast<uint32_t>(pickle_.values_.size()));
    PickleValue& value = pickle_.values_.emplace_back();
    value.kind = kind;
    return value;
  }

  void push_number(Kind kind, int64_t number) { push(kind).number = number; }

  void push_items(Kind kind, Items items) {
    push(kind).items = static_cast<uint32_t>(pickle_.lists_.size());
    pickle_.lists_.push_back(std::move(items));
  }

  // The last `count` values, which have to come after the last mark.
  Items pop(size_t count) {
    const size_t floor = marks_.empty() ? 0 : marks_.back();
    if (stack_.size() < floor + count) fail("its pickle takes values that aren't there");
    Items items(stack_.end() - static_cast<std::ptrdiff_t>(count), stack_.end());
    stack_.resize(stack_.size() - count);
    return items;
  }

  Items pop_to_mark() {
    if (marks_.empty()) fail("its pickle takes a mark that isn't there");
    Items items = pop(stack_.size() - marks_.back());
    marks_.pop_back();
    return items;
  }

  PickleValue& top() {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) fail("its pickle takes values that aren't there");
    return pickle_.values_[stack_.back()];
  }

  // Puts values into the container that is on top of the stack then.
  void insert(Kind kind, const Items& items) {
    if (top().kind != kind) fail("its pickle puts values into what holds none");
    if (kind == Kind::dict && items.size() % 2 != 0) fail("its pickle has a key without a value");
    Items& held = pickle_.lists_[top().items];
    held.insert(held.end(), items.begin(), items.end());
  }

  void remember(size_t id) {
    top();
    // numbered as they come, from 0 or 1; a large number alone would make the table large
    if (id > memo_.size() + 1) fail("its pickle numbers its values out of order");
    if (id >= memo_.size()) memo_.resize(id + 1, kNothing);
    memo_[id] = stack_.back();
  }

  void recall(size_t id) {
    if (id >= memo_.size() || memo_[id] == kNothing) fail("its pickle fetches a value that isn't there");
    if (stack_.size() >= kMostValues) fail("its pickle has too many values");
    stack_.push_back(memo_[id]);
  }

  void integer(std::string_view bytes) {
    if (bytes.size() > sizeof(int64_t)) return void(push(Kind::other));
    uint64_t value = !bytes.empty() && (bytes.back() & 0x80) != 0 ? UINT64_MAX : 0;
    std::memcpy(&value, bytes.data(), bytes.size());
    push_number(Kind::integer, static_cast<int64_t>(value));
  }

  void global() {
    std::string name(line());
    name += ' ';
    name += line();
    const auto found = std::find(kAllowed.begin(), kAllowed.end(), name);
    if (found == kAllowed.end()) {
      std::replace(name.begin(), name.end(), ' ', '.');
      fail("it holds a " + shown(name) +
           ", which is neither a plain value nor a tensor of a known dtype: save model.state_dict()");
    }
    push(Kind::type).text = *found;
  }

  void call() {
    const Items called = pop(2);
    const PickleValue callee = pickle_[called[0]], arguments = pickle_[called[1]];
    if (callee.kind != Kind::type || arguments.kind != Kind::tuple) fail("its pickle calls what can't be called");
    const Items& given = pickle_.items(arguments);
    if (callee.text == kOrderedDict) {
      if (!given.empty()) fail("it has an OrderedDict made in an unknown way");
      push_items(Kind::dict, {});
    } else if (callee.text == kTensor) {
      push(Kind::tensor).items = arguments.items;
    } else if (callee.text == kParameter && !given.empty() && pickle_[given[0]].kind == Kind::tensor) {
      stack_.push_back(given[0]);
    } else {
      fail("its pickle calls what can't be called");
    }
  }

  void storage() {
    const PickleValue description = pickle_[pop(1)[0]];
    if (description.kind != Kind::tuple) fail("it has a storage described in an unknown way");
    push(Kind::storage).items = description.items;
  }

  void build() {
    pop(1);
    top();
  }

  void step(unsigned char code) {
    switch (code) {
      case 0x80:  // PROTO
        if (number<uint8_t>() != 2) fail("its pickle has another protocol than 2");
        return;
      case 'N':
        return void(push(Kind::null));
      case 0x88:
      case 0x89:
        return push_number(Kind::truth, code == 0x88);
      case 'K':  // integers
        return push_number(Kind::integer, number<uint8_t>());
      case 'M':
        return push_number(Kind::integer, number<uint16_t>());
      case 'J':
        return push_number(Kind::integer, number<int32_t>());
      case 0x8a:
        return integer(take(number<uint8_t>()));
      case 'G':  // a double
        take(8);
        return void(push(Kind::other));
      case 'X': {  // a string
        const std::string_view text = take(number<uint32_t>());
        push(Kind::text).text = text;
        return;
      }
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
        if (marks_.size() >= kMostValues) fail("its pickle has too many values");
        return marks_.push_back(stack_.size());
      case '}':  // containers
        return push_items(Kind::dict, {});
      case ']':
        return push_items(Kind::list, {});
      case ')':
        return push_items(Kind::tuple, {});
      case 't':
        return push_items(Kind::tuple, pop_to_mark());
      case 0x85:
      case 0x86:
      case 0x87:
        return push_items(Kind::tuple, pop(code - 0x84));
      case 'a':
        return insert(Kind::list, pop(1));
      case 'e':
        return insert(Kind::list, pop_to_mark());
      case 's':
        return insert(Kind::dict, pop(2));
      case 'u':
        return insert(Kind::dict, pop_to_mark());
      case 'Q':
        return storage();
      case 'R':
        return call();
      case 'b':
        return build();
      default:
        fail("its pickle has an instruction (" + std::to_string(code) + ") that no state dict needs");
    }
  }

  Pickle& pickle_;
  std::string_view bytes_;
  size_t position_ = 0;
  std::vector<uint32_t> stack_;
  std::vector<size_t> marks_;
  std::vector<uint32_t> memo_;
};

Pickle::Pickle(std::string_view bytes) { PickleMachine(*this, bytes).run(); }

}  // namespace torch_learner
