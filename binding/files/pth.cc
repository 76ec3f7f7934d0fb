#include "pth.h"

#include <algorithm>
#include <cstring>
#include <map>

#include "pickle.h"
#include "zip_directory.h"

namespace torch_learner {
namespace {

using Kind = PickleKind;

// The numbers themselves aren't in the pickle.
constexpr size_t kPickleLimit = 16 << 20;

[[noreturn]] void fail(const std::string& what) { throw FileFormatError(what); }

// A storage as the pickle describes it.
struct Description {
  std::string_view key;
  at::ScalarType type;
  uint64_t count;

  uint64_t bytes() const {
    const uint64_t size = c10::elementSize(type);
    if (count > UINT64_MAX / size) fail("storage " + shown(key) + " is larger than the file");
    return count * size;
  }
};

at::ScalarType storage_type(std::string_view name) {
  static const std::map<std::string_view, at::ScalarType> types = {
      {"torch FloatStorage", at::kFloat},       {"torch DoubleStorage", at::kDouble}, {"torch HalfStorage", at::kHalf},
      {"torch BFloat16Storage", at::kBFloat16}, {"torch LongStorage", at::kLong},     {"torch IntStorage", at::kInt},
      {"torch ShortStorage", at::kShort},       {"torch CharStorage", at::kChar},     {"torch ByteStorage", at::kByte},
      {"torch BoolStorage", at::kBool},
  };
  const auto found = types.find(name);
  if (found == types.end()) fail("it has a storage of an unknown type");
  return found->second;
}

Description describe_storage(const Pickle& pickle, const PickleValue& storage) {
  const std::vector<uint32_t>& items = pickle.items(storage);
  const auto is = [&](size_t i, Kind kind) { return pickle[items[i]].kind == kind; };
  const bool known = items.size() >= 5 && items.size() <= 6 && is(0, Kind::text) &&
                     pickle[items[0]].text == "storage" && is(1, Kind::type) && is(2, Kind::text) &&
                     is(3, Kind::text) && is(4, Kind::integer) && pickle[items[4]].number >= 0;
  if (!known) fail("it has a storage described in an unknown way");
  // of PyTorch before 0.4
  if (items.size() == 6 && !is(5, Kind::null)) fail("it has a storage that is a part of another");
  return {pickle[items[2]].text, storage_type(pickle[items[1]].text), static_cast<uint64_t>(pickle[items[4]].number)};
}

// The two formats differ in where a storage's bytes lie.
class StorageSource {
 public:
  explicit StorageSource(FileReader& file) : file_(file) {}
  virtual ~StorageSource() = default;

  uint64_t file_size() const { return file_.size(); }

  // Read when it is first asked for: what belongs to an optimizer beside the model takes no memory.
  c10::Storage get(const Description& told) {
    const auto known = loaded_.find(told.key);
    if (known != loaded_.end()) {
      if (known->second.type != told.type) fail("storage " + shown(told.key) + " is of two types");
      return known->second.storage;
    }
    const uint64_t bytes = told.bytes();
    const uint64_t offset = locate(told, bytes);
    if (offset > file_.size() || bytes > file_.size() - offset) fail("it is cut off");
    at::Allocator* allocator = at::getCPUAllocator();
    at::DataPtr data = allocator->allocate(bytes);
    file_.read(offset, data.get(), bytes);
    if (told.type == at::kBool) check_truth(static_cast<const uint8_t*>(data.get()), bytes, told.key);
    c10::Storage storage(c10::Storage::use_byte_size_t(), bytes, std::move(data), allocator, true);
    loaded_.emplace(told.key, Loaded{told.type, storage});
    return storage;
  }

 protected:
  FileReader& file_;

 private:
  struct Loaded {
    at::ScalarType type;
    c10::Storage storage;
  };

  // Where a storage begins. Refuses one that has another size than the pickle tells.
  virtual uint64_t locate(const Description& told, uint64_t bytes) = 0;

  // others than 0 and 1 would be undefined behaviour in every operator
  static void check_truth(const uint8_t* data, uint64_t count, std::string_view key) {
    if (std::any_of(data, data + count, [](uint8_t value) { return value > 1; })) {
      fail("storage " + shown(key) + " has truth values other than 0 and 1");
    }
  }

  std::map<std::string_view, Loaded> loaded_;
};

class ZipSource : public StorageSource {
 public:
  explicit ZipSource(FileReader& file) : StorageSource(file), records_(zip_directory(file)) {
    if (records_.count("byteorder") != 0 && text("byteorder", 16) != "little") fail("its numbers are big-endian");
    if (records_.count("data.pkl") == 0) fail("it is a zip file without a data.pkl");
  }

  std::string pickle() { return text("data.pkl", kPickleLimit); }

 private:
  std::string text(const std::string& name, uint64_t limit) {
    const ZipRecord record = records_.at(name);
    if (record.size > limit) fail("its " + name + " is too large");
    return file_.read(record.offset, record.size);
  }

  uint64_t locate(const Description& told, uint64_t bytes) override {
    const auto found = records_.find("data/" + std::string(told.key));
    if (found == records_.end()) fail("the numbers of storage " + shown(told.key) + " are missing");
    if (found->second.size != bytes) fail("storage " + shown(told.key) + " is of another size than told");
    return found->second.offset;
  }

  std::map<std::string, ZipRecord> records_;
};

// Magic number and protocol version of the older format, each a pickle.
constexpr char kLegacy[] = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.";
constexpr size_t kLegacyLength = sizeof(kLegacy) - 1;

// Pickles one behind the other: about the system, the object, the keys of its storages; then those, one by one.
class LegacySource : public StorageSource {
 public:
  LegacySource(FileReader& file, const Pickle& system, const Pickle& object, const Pickle& keys, uint64_t position)
      : StorageSource(file) {
    if (system.root().kind != Kind::dict || keys.root().kind != Kind::list) fail("its parts are in disorder");
    check_order(system);
    // their sizes are told by the object, and each begins where the one before ends
    std::map<std::string_view, Description> told;
    for (uint32_t i = 0; i < object.size(); ++i) {
      if (object[i].kind != Kind::storage) continue;
      const Description description = describe_storage(object, object[i]);
      told.emplace(description.key, description);
    }
    for (const uint32_t item : keys.items(keys.root())) {
      const std::string_view key = keys[item].text;
      const auto found = told.find(key);
      if (keys[item].kind != Kind::text || found == told.end()) fail("it has numbers of an unknown storage");
      uint64_t count;
      file.read(position, &count, sizeof(count));
      position += sizeof(count);
      if (count != found->second.count) fail("storage " + shown(key) + " is of another size than told");
      if (found->second.bytes() > file.size() - position) fail("it is cut off");
      if (!places_.emplace(found->second.key, Place{position, count}).second) {
        fail("storage " + shown(key) + " comes twice");
      }
      position += found->second.bytes();
    }
  }

 private:
  struct Place {
    uint64_t offset, count;
  };

  static void check_order(const Pickle& system) {
    const std::vector<uint32_t>& items = system.items(system.root());
    for (size_t i = 0; i + 1 < items.size(); i += 2) {
      const PickleValue &name = system[items[i]], &value = system[items[i + 1]];
      if (name.text == "little_endian" && value.kind == Kind::truth && value.number == 0) {
        fail("its numbers are big-endian");
      }
    }
  }

  uint64_t locate(const Description& told, uint64_t) override {
    const auto found = places_.find(told.key);
    if (found == places_.end()) fail("the numbers of storage " + shown(told.key) + " are missing");
    if (found->second.count != told.count) fail("storage " + shown(told.key) + " is of another size than told");
    return found->second.offset;
  }

  std::map<std::string_view, Place> places_;  // the object's pickle has the keys
};

std::vector<int64_t> sizes_of(const Pickle& pickle, const PickleValue& tuple, const std::string& name) {
  std::vector<int64_t> sizes;
  if (tuple.kind != Kind::tuple) fail(name + " has no shape");
  for (const uint32_t item : pickle.items(tuple)) {
    const PickleValue& size = pickle[item];
    if (size.kind != Kind::integer || size.number < 0) fail(name + " has a negative size");
    sizes.push_back(size.number);
    if (sizes.size() > 64) fail(name + " has too many dimensions");
  }
  return sizes;
}

// Shapes, strides and offsets are checked against the storage before there is a tensor. One that repeats its numbers
// (with strides of 0) may be no larger than the file either.
void check_reach(const std::string& name, const Description& storage, int64_t offset, const std::vector<int64_t>& sizes,
                 const std::vector<int64_t>& strides, uint64_t file_size) {
  unsigned __int128 last = static_cast<uint64_t>(offset), count = 1;
  const bool empty = std::find(sizes.begin(), sizes.end(), 0) != sizes.end();
  for (size_t i = 0; i < sizes.size() && !empty; ++i) {
    last += static_cast<unsigned __int128>(sizes[i] - 1) * static_cast<uint64_t>(strides[i]);
    count *= static_cast<uint64_t>(sizes[i]);
    if (last >= storage.count) fail(name + " reaches beyond its storage");
    if (count * c10::elementSize(storage.type) > std::max<uint64_t>(file_size, 64))
      fail(name + " is larger than the file");
  }
  if (empty ? static_cast<uint64_t>(offset) > storage.count : last >= storage.count) {
    fail(name + " reaches beyond its storage");
  }
}

at::Tensor make_tensor(const std::string& name, const Pickle& pickle, const PickleValue& tensor,
                       StorageSource& source) {
  const std::vector<uint32_t>& items = pickle.items(tensor);
  if (items.size() < 4 || items.size() > 7 || pickle[items[0]].kind != Kind::storage ||
      pickle[items[1]].kind != Kind::integer) {
    fail(name + " is described in an unknown way");
  }
  if (items.size() == 7) {
    // marks of tensors whose numbers are to be conjugated or negated when they are read
    const PickleValue& marks = pickle[items[6]];
    if (marks.kind != Kind::null && (marks.kind != Kind::dict || !pickle.items(marks).empty())) {
      fail(name + " has marks that are not known here");
    }
  }
  const Description storage = describe_storage(pickle, pickle[items[0]]);
  const int64_t offset = pickle[items[1]].number;
  const auto sizes = sizes_of(pickle, pickle[items[2]], name), strides = sizes_of(pickle, pickle[items[3]], name);
  if (offset < 0 || sizes.size() != strides.size()) fail(name + " has no proper shape");
  check_reach(name, storage, offset, sizes, strides, source.file_size());
  const at::NoGradGuard no_grad;
  return at::empty({0}, at::TensorOptions().dtype(storage.type)).set_(source.get(storage), offset, sizes, strides);
}

using Named = std::vector<std::pair<std::string_view, uint32_t>>;

// The entries of a dict that has text for keys and nothing but tensors.
bool only_tensors(const Pickle& pickle, const PickleValue& value, Named& named) {
  if (value.kind != Kind::dict) return false;
  const std::vector<uint32_t>& items = pickle.items(value);
  named.clear();
  for (size_t i = 0; i + 1 < items.size(); i += 2) {
    if (pickle[items[i]].kind != Kind::text || pickle[items[i + 1]].kind != Kind::tensor) return false;
    named.emplace_back(pickle[items[i]].text, items[i + 1]);
  }
  return true;
}

// How many of a dict's keys a message lists.
constexpr size_t kMostNames = 12;

std::string listed(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < kMostNames; ++i) text += (text.empty() ? "" : ", ") + names[i];
  return names.size() > kMostNames ? text + ", ..." : text;
}

Named find_state(const Pickle& pickle, const std::string& key) {
  const PickleValue& root = pickle.root();
  if (root.kind != Kind::dict) fail("it holds no dict: save model.state_dict()");
  Named named;
  const bool whole = only_tensors(pickle, root, named);
  if (key.empty() && whole) return named;
  if (whole) fail("it is a state dict itself: leave out key");
  std::vector<std::string> names, states;
  const std::vector<uint32_t>& items = pickle.items(root);
  const std::vector<std::string> wanted =
      key.empty() ? std::vector<std::string>{"model", "state_dict"} : std::vector<std::string>{key};
  for (const std::string& name : wanted) {
    for (size_t i = 0; i + 1 < items.size(); i += 2) {
      if (pickle[items[i]].text == name && only_tensors(pickle, pickle[items[i + 1]], named)) return named;
    }
  }
  for (size_t i = 0; i + 1 < items.size() && names.size() <= kMostNames; i += 2) {
    if (pickle[items[i]].kind != Kind::text) continue;
    names.push_back(shortened(pickle[items[i]].text));
    if (only_tensors(pickle, pickle[items[i + 1]], named) && !named.empty()) states.push_back("'" + names.back() + "'");
  }
  fail((key.empty() ? "its dict holds other things than tensors" : "it has no state dict under " + shown(key)) +
       " (its keys: " + listed(names) + ")" +
       (states.empty()
            ? ": save model.state_dict()"
            : "; state dicts are under " + listed(states) + ": say which, as in { key: " + states[0] + " }"));
}

NamedTensors make_tensors(const Pickle& pickle, const std::string& key, StorageSource& source) {
  Named named = find_state(pickle, key);
  Named sorted = named;
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 1; i < sorted.size(); ++i) {
    if (sorted[i].first == sorted[i - 1].first) fail("it has " + shown(sorted[i].first) + " twice");
  }
  NamedTensors tensors;
  for (const auto& [name, value] : named) {
    tensors.emplace_back(name, make_tensor(shown(name), pickle, pickle[value], source));
  }
  return tensors;
}

NamedTensors read_zip(FileReader& file, const std::string& key) {
  ZipSource source(file);
  const std::string bytes = source.pickle();
  return make_tensors(Pickle(bytes), key, source);
}

NamedTensors read_legacy(FileReader& file, const std::string& key) {
  const std::string head = file.read(0, std::min<uint64_t>(file.size(), kPickleLimit));
  std::string_view rest = std::string_view(head).substr(kLegacyLength);
  const auto next = [&rest] {
    Pickle pickle(rest);
    rest.remove_prefix(pickle.length());
    return pickle;
  };
  const Pickle system = next(), object = next(), keys = next();
  LegacySource source(file, system, object, keys, head.size() - rest.size());
  return make_tensors(object, key, source);
}

}  // namespace

NamedTensors read_pth(const std::string& path, const std::string& key) {
  FileReader file(path);
  if (file.size() < kLegacyLength) fail("it is no file of torch.save, or cut off");
  const std::string start = file.read(0, kLegacyLength);
  if (start.compare(0, 2, "PK") == 0) return read_zip(file, key);
  if (start != std::string_view(kLegacy, kLegacyLength)) fail("it is no file of torch.save");
  return read_legacy(file, key);
}

}  // namespace torch_learner
