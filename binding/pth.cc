#include "pth.h"

#include <caffe2/serialize/inline_container.h>
#include <torch/csrc/jit/serialization/storage_context.h>
#include <torch/csrc/jit/serialization/unpickler.h>

#include <cstring>
#include <filesystem>
#include <fstream>

namespace torch_learner {
namespace {

using torch::jit::DeserializationStorageContext;
using Storages = std::shared_ptr<DeserializationStorageContext>;

// Room for some 100,000 tensors; the numbers themselves aren't in the pickle.
constexpr size_t kPickleLimit = 16 << 20;

[[noreturn]] void fail(const std::string& what) { throw FileFormatError(what); }

// Storages are known beforehand, with their true sizes: the unpickler would believe the sizes that the pickle tells.
// `probe` (for sizes alone) answers for unknown ones.
c10::IValue unpickle(const CleanPickle& pickle, const Storages& storages,
                     std::function<at::DataPtr(const std::string&)> probe = nullptr) {
  size_t position = 0;
  auto read = [&](char* to, size_t count) {
    count = pickle.bytes.copy(to, count, position);
    position += count;
    return count;
  };
  if (!probe) {
    probe = [](const std::string& key) -> at::DataPtr { fail("the numbers of storage '" + key + "' are missing"); };
  }
  torch::jit::Unpickler unpickler(read, nullptr, nullptr, probe, at::Device(at::kCPU), false,
                                  torch::jit::Unpickler::defaultTypeParser, storages);
  return unpickler.parse_ivalue();
}

c10::Storage make_storage(at::DataPtr data, size_t bytes) {
  return c10::Storage(c10::Storage::use_byte_size_t(), bytes, std::move(data), nullptr, false);
}

c10::IValue read_zip(const std::string& path, size_t file_size) {
  caffe2::serialize::PyTorchStreamReader reader(path);
  size_t total = 0;
  for (const std::string& name : reader.getAllRecords()) {
    const size_t size = reader.getRecordSize(name);
    // nothing is compressed in these files, so that a larger record is a bomb
    if (size > file_size - total) fail("its records are larger than the file");
    total += size;
  }
  if (!reader.hasRecord("data.pkl")) fail("it is a zip file without a data.pkl");
  if (reader.getRecordSize("data.pkl") > kPickleLimit) fail("its pickle is too large");
  if (reader.hasRecord("byteorder")) {
    auto [order, size] = reader.getRecord("byteorder");
    if (std::string(static_cast<const char*>(order.get()), size) != "little") fail("its numbers are big-endian");
  }
  auto [data, length] = reader.getRecord("data.pkl");
  const CleanPickle pickle = clean_pickle({static_cast<const char*>(data.get()), length});
  auto storages = std::make_shared<DeserializationStorageContext>();
  const std::string prefix = "data/";
  for (const std::string& name : reader.getAllRecords()) {
    if (name.rfind(prefix, 0) != 0 || storages->hasStorage(name.substr(prefix.size()))) continue;
    auto [numbers, size] = reader.getRecord(name);
    storages->addStorage(name.substr(prefix.size()), make_storage(std::move(numbers), size));
  }
  return unpickle(pickle, storages);
}

// Magic number and protocol version of the older format, each a pickle.
constexpr char kLegacy[] = "\x80\x02\x8a\x0a\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19.\x80\x02M\xe9\x03.";
constexpr size_t kLegacyLength = sizeof(kLegacy) - 1;

// Pickles one behind the other: about the system, the object, the keys of its storages; then those, one by one.
class LegacyReader {
 public:
  LegacyReader(std::ifstream& file, size_t file_size) : file_(file), file_size_(file_size) {
    head_.resize(std::min(file_size, kPickleLimit));
    read(head_.data(), head_.size());
  }

  c10::IValue run() {
    position_ = kLegacyLength;
    const auto system = unpickle_next(nullptr);
    const CleanPickle object = next();
    // sizes first: they are told by the pickle, and the numbers come after it
    auto claimed = std::make_shared<DeserializationStorageContext>();
    unpickle(object, claimed, [](const std::string&) { return at::getCPUAllocator()->allocate(1); });
    const auto keys = unpickle_next(nullptr);
    if (!system.isGenericDict() || !keys.isList()) fail("its parts are in disorder");
    const auto little = system.toGenericDict().find("little_endian");
    if (little != system.toGenericDict().end() && little->value().isBool() && !little->value().toBool()) {
      fail("its numbers are big-endian");
    }
    return unpickle(object, read_storages(keys.toList(), *claimed));
  }

 private:
  CleanPickle next() {
    CleanPickle pickle = clean_pickle(std::string_view(head_).substr(position_));
    position_ += pickle.length;
    return pickle;
  }

  c10::IValue unpickle_next(const Storages& storages) { return unpickle(next(), storages); }

  void read(char* to, size_t count) {
    if (!file_.read(to, static_cast<std::streamsize>(count))) fail("it is cut off");
  }

  Storages read_storages(const c10::List<c10::IValue>& keys, DeserializationStorageContext& claimed) {
    auto storages = std::make_shared<DeserializationStorageContext>();
    file_.seekg(static_cast<std::streamoff>(position_));
    size_t left = file_size_ - position_;
    for (const c10::IValue& item : keys) {
      if (!item.isString() || !claimed.hasStorage(item.toStringRef())) fail("it has numbers of an unknown storage");
      const std::string& key = item.toStringRef();
      const size_t bytes = claimed.getStorage(key).nbytes();
      int64_t count;
      if (left < sizeof(count)) fail("it is cut off");
      read(reinterpret_cast<char*>(&count), sizeof(count));
      left -= sizeof(count);
      const bool fits = count == 0 ? bytes == 0
                                   : count > 0 && bytes % static_cast<size_t>(count) == 0 &&
                                         bytes / static_cast<size_t>(count) <= 8 && bytes <= left;
      if (!fits) fail("storage '" + key + "' is of another size than told, or cut off");
      at::DataPtr data = at::getCPUAllocator()->allocate(bytes);
      read(static_cast<char*>(data.get()), bytes);
      left -= bytes;
      if (storages->hasStorage(key)) fail("storage '" + key + "' comes twice");
      storages->addStorage(key, make_storage(std::move(data), bytes));
    }
    return storages;
  }

  std::ifstream& file_;
  size_t file_size_;
  size_t position_ = 0;
  std::string head_;
};

// The unpickler takes shapes, strides and offsets as they come.
at::Tensor checked(const std::string& name, const at::Tensor& tensor) {
  if (tensor.layout() != at::kStrided || tensor.is_quantized() || !tensor.device().is_cpu() || !tensor.has_storage()) {
    fail("'" + name + "' is not a dense tensor");
  }
  if (tensor.dim() > 64) fail("'" + name + "' has too many dimensions");
  __int128 last = tensor.storage_offset();
  bool empty = false;
  for (int64_t i = 0; i < tensor.dim(); ++i) {
    const int64_t size = tensor.size(i), stride = tensor.stride(i);
    if (size < 0 || stride < 0) fail("'" + name + "' has a negative size");
    if (size == 0)
      empty = true;
    else
      last += static_cast<__int128>(size - 1) * stride;
    if (last > INT64_MAX) fail("'" + name + "' reaches beyond its storage");
  }
  const auto reach = (last + 1) * static_cast<__int128>(tensor.element_size());
  if (tensor.storage_offset() < 0 || (!empty && reach > static_cast<__int128>(tensor.storage().nbytes()))) {
    fail("'" + name + "' reaches beyond its storage");
  }
  const at::NoGradGuard no_grad;
  const at::Tensor plain = tensor.detach();
  // a truth value other than 0 and 1 would be undefined behaviour in every operator
  return plain.scalar_type() == at::kBool ? plain.view(at::kByte).ne(0) : plain;
}

bool only_tensors(const c10::impl::GenericDict& dict) {
  for (const auto& item : dict) {
    if (!item.key().isString() || !item.value().isTensor()) return false;
  }
  return true;
}

c10::impl::GenericDict find_state(const c10::IValue& value, const std::string& key) {
  if (!value.isGenericDict()) fail("it holds no dict: save model.state_dict()");
  auto dict = value.toGenericDict();
  if (key.empty() && only_tensors(dict)) return dict;
  const std::vector<std::string> names =
      key.empty() ? std::vector<std::string>{"model", "state_dict"} : std::vector<std::string>{key};
  for (const std::string& name : names) {
    const auto found = dict.find(name);
    if (found != dict.end() && found->value().isGenericDict() && only_tensors(found->value().toGenericDict())) {
      return found->value().toGenericDict();
    }
  }
  std::string held;
  for (const auto& item : dict) {
    if (held.size() < 200 && item.key().isString()) held += (held.empty() ? "" : ", ") + item.key().toStringRef();
  }
  fail((key.empty() ? "its dict holds other things than tensors" : "it has no state dict under '" + key + "'") +
       " (its keys: " + held + ")");
}

}  // namespace

NamedTensors read_pth(const std::string& path, const std::string& key) {
  const size_t file_size = std::filesystem::file_size(path);
  std::ifstream file(path, std::ios::binary);
  char start[kLegacyLength] = {};
  if (!file.read(start, file_size < kLegacyLength ? 0 : kLegacyLength) || file_size < kLegacyLength) {
    fail("it is no file of torch.save, or cut off");
  }
  c10::IValue value;
  if (std::memcmp(start, "PK", 2) == 0) {
    value = read_zip(path, file_size);
  } else if (std::memcmp(start, kLegacy, kLegacyLength) == 0) {
    file.seekg(0);
    value = LegacyReader(file, file_size).run();
  } else {
    fail("it is no file of torch.save");
  }
  NamedTensors tensors;
  for (const auto& item : find_state(value, key)) {
    const std::string& name = item.key().toStringRef();
    tensors.emplace_back(name, checked(name, item.value().toTensor()));
  }
  return tensors;
}

}  // namespace torch_learner
