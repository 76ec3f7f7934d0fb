// A file's bytes, wherever they lie.
#pragma once

#include <filesystem>
#include <fstream>
#include <stdexcept>
#include <string>

namespace torch_learner {

// A file that isn't what it should be; the message is a clause: "it is cut off".
struct FileFormatError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class FileReader {
 public:
  explicit FileReader(const std::string& path) {
    // asked before it is opened: opening a pipe would wait for a writer
    if (!std::filesystem::is_regular_file(path)) throw FileFormatError("it is not a file");
    size_ = std::filesystem::file_size(path);
    file_.open(path, std::ios::binary);
    if (!file_) throw FileFormatError("it can't be opened");
  }

  uint64_t size() const { return size_; }

  // Fails rather than read less.
  void read(uint64_t position, void* to, uint64_t count) {
    if (position > size_ || count > size_ - position) throw FileFormatError("it is cut off");
    file_.seekg(static_cast<std::streamoff>(position));
    if (count > 0 && !file_.read(static_cast<char*>(to), static_cast<std::streamsize>(count))) {
      throw FileFormatError("it can't be read to its end");
    }
  }

  std::string read(uint64_t position, uint64_t count) {
    if (position > size_ || count > size_ - position) throw FileFormatError("it is cut off");
    std::string bytes(count, '\0');
    read(position, bytes.data(), count);
    return bytes;
  }

 private:
  uint64_t size_ = 0;
  std::ifstream file_;
};

// A name out of a file as a message shows it: short, on one line.
inline std::string shortened(std::string_view name) {
  std::string text(name.substr(0, 60));
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return name.size() > text.size() ? text + "..." : text;
}

inline std::string shown(std::string_view name) {
  std::string text("'");  // appended to: gcc 12 warns of what it makes of "'" + std::string
  return text.append(shortened(name)).append("'");
}

}  // namespace torch_learner
