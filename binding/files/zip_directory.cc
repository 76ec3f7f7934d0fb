#include "zip_directory.h"

#include <algorithm>
#include <cstring>
#include <vector>

namespace torch_learner {
namespace {

[[noreturn]] void fail(const std::string& what) { throw FileFormatError(what); }

constexpr size_t kLocal = 30, kEntry = 46, kEnd = 22, kLocator = 20, kEnd64 = 56;
constexpr uint32_t kUnknown = 0xffffffff;  // "see the 64-bit field"

// Little-endian numbers at a position of some bytes.
class Fields {
 public:
  explicit Fields(std::string_view bytes) : bytes_(bytes) {}

  uint16_t u16(size_t at) const { return get<uint16_t>(at); }
  uint32_t u32(size_t at) const { return get<uint32_t>(at); }
  uint64_t u64(size_t at) const { return get<uint64_t>(at); }
  bool begin_with(const char* signature) const { return bytes_.substr(0, 4) == signature; }

 private:
  template <class T>
  T get(size_t at) const {
    if (at > bytes_.size() || sizeof(T) > bytes_.size() - at) fail("its directory is damaged");
    T value;
    std::memcpy(&value, bytes_.data() + at, sizeof(T));
    return value;
  }

  std::string_view bytes_;
};

struct Span {
  uint64_t begin, size, count;
};

// Where the directory is, from the record at the file's end, or the 64-bit one that it leads to.
Span find_directory(FileReader& file) {
  const uint64_t window = std::min<uint64_t>(file.size(), kEnd + 0xffff);
  const std::string tail = file.read(file.size() - window, window);
  for (size_t at = tail.size() < kEnd ? std::string::npos : tail.rfind("PK\5\6", tail.size() - kEnd);
       at != std::string::npos; at = at == 0 ? std::string::npos : tail.rfind("PK\5\6", at - 1)) {
    const Fields end(std::string_view(tail).substr(at));
    if (end.u16(20) != tail.size() - at - kEnd) continue;  // of something else, in a comment
    const uint64_t position = file.size() - tail.size() + at;
    Span span{end.u32(16), end.u32(12), end.u16(10)};
    uint64_t limit = position;
    if (position >= kLocator) {
      const std::string locator = file.read(position - kLocator, kLocator);
      if (locator.compare(0, 4, "PK\6\7") == 0) {
        limit = Fields(locator).u64(8);
        if (limit > position - kLocator) fail("its directory is damaged");
        const std::string end64 = file.read(limit, kEnd64);
        const Fields fields(end64);
        if (!fields.begin_with("PK\6\6")) fail("its directory is damaged");
        span = {fields.u64(48), fields.u64(40), fields.u64(32)};
      }
    }
    if (span.begin > limit || span.size > limit - span.begin || span.count > span.size / kEntry) {
      fail("its directory is damaged");
    }
    return span;
  }
  fail("it is a zip file without a directory, or cut off");
}

struct Entry {
  std::string name;
  uint64_t header, size;
};

// The 64-bit numbers of an entry's extra field stand for those that don't fit into 32 bits, in their order.
class Wide {
 public:
  explicit Wide(std::string_view extra) {
    while (extra.size() >= 4) {
      const Fields head(extra);
      const size_t length = head.u16(2);
      if (length > extra.size() - 4) fail("its directory is damaged");
      if (head.u16(0) == 1) {
        numbers_ = extra.substr(4, length);
        return;
      }
      extra.remove_prefix(4 + length);
    }
  }

  uint64_t widen(uint32_t narrow) {
    if (narrow != kUnknown) return narrow;
    const uint64_t value = Fields(numbers_).u64(0);
    numbers_.remove_prefix(sizeof(value));
    return value;
  }

 private:
  std::string_view numbers_;
};

std::vector<Entry> read_entries(std::string_view bytes, uint64_t count) {
  std::vector<Entry> entries;
  for (uint64_t i = 0; i < count; ++i) {
    const Fields fields(bytes);
    if (!fields.begin_with("PK\1\2")) fail("its directory is damaged");
    const size_t name_length = fields.u16(28), extra_length = fields.u16(30);
    const size_t length = kEntry + name_length + extra_length + fields.u16(32);
    if (length > bytes.size()) fail("its directory is damaged");
    Entry entry{std::string(bytes.substr(kEntry, name_length)), 0, 0};
    if (fields.u16(10) != 0 || (fields.u16(8) & 1) != 0) {
      fail("its record " + shown(entry.name) +
           " is compressed or encrypted, which torch.save never does: load it with PyTorch and save it again");
    }
    Wide wide(bytes.substr(kEntry + name_length, extra_length));
    entry.size = wide.widen(fields.u32(24));
    if (wide.widen(fields.u32(20)) != entry.size) fail("its record " + shown(entry.name) + " has two sizes");
    entry.header = wide.widen(fields.u32(42));
    entries.push_back(std::move(entry));
    bytes.remove_prefix(length);
  }
  return entries;
}

}  // namespace

std::map<std::string, ZipRecord> zip_directory(FileReader& file) {
  const Span span = find_directory(file);
  std::vector<Entry> entries = read_entries(file.read(span.begin, span.size), span.count);
  if (entries.empty()) fail("it is an empty zip file");
  const std::string folder = entries[0].name.substr(0, entries[0].name.find('/') + 1);
  std::sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) { return a.header < b.header; });
  std::map<std::string, ZipRecord> records;
  uint64_t free = 0;  // what the records before it leave
  for (const Entry& entry : entries) {
    if (entry.header < free) fail("its record " + shown(entry.name) + " lies over another");
    const std::string local = file.read(entry.header, kLocal);
    const Fields fields(local);
    if (!fields.begin_with("PK\3\4")) fail("its record " + shown(entry.name) + " is not where it should be");
    const uint64_t offset = entry.header + kLocal + fields.u16(26) + fields.u16(28);
    if (offset > span.begin || entry.size > span.begin - offset) {
      fail("its record " + shown(entry.name) + " is larger than the file");
    }
    free = offset + entry.size;
    if (entry.name.compare(0, folder.size(), folder) != 0) continue;
    if (!records.emplace(entry.name.substr(folder.size()), ZipRecord{offset, entry.size}).second) {
      fail("its record " + shown(entry.name) + " comes twice");
    }
  }
  return records;
}

}  // namespace torch_learner
