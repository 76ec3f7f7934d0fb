#include "memory_room.h"

#include <algorithm>
#include <fstream>
#include <sstream>

#if defined(__linux__)
#include <unistd.h>
#endif

namespace torch_learner {

#if defined(__linux__)

namespace {

// The numbers of a file of "name number" lines that have one of these names, added up; none when there is none of them.
std::optional<size_t> sum_of(const std::string& path, std::initializer_list<std::string_view> names) {
  std::ifstream file(path);
  std::optional<size_t> sum;
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string name;
    size_t number;
    if (!(words >> name >> number)) continue;
    if (std::find(names.begin(), names.end(), name) != names.end()) sum = sum.value_or(0) + number;
  }
  return sum;
}

// None when the file isn't there, or says "max".
std::optional<size_t> number_in(const std::string& path) {
  std::ifstream file(path);
  size_t number;
  if (file >> number) return number;
  return std::nullopt;
}

// What a control group leaves, if it has a limit. Pages of files that nobody has used lately are given up on demand.
std::optional<size_t> left_in_group(const std::string& folder, bool second) {
  const auto limit = number_in(folder + (second ? "/memory.max" : "/memory.limit_in_bytes"));
  const auto used = number_in(folder + (second ? "/memory.current" : "/memory.usage_in_bytes"));
  if (!limit || !used) return std::nullopt;
  const auto files = sum_of(folder + "/memory.stat", {second ? "inactive_file" : "total_inactive_file"});
  const size_t held = *used - std::min(*used, files.value_or(0));
  return *limit - std::min(*limit, held);
}

// The least that any group from the process's own to the outermost leaves. Within a container the path may be the
// host's, which isn't there; the outermost is then the container's own.
std::optional<size_t> left_in_groups(const std::string& root) {
  std::ifstream file(root + "/proc/self/cgroup");
  std::optional<size_t> least;
  std::string line;
  while (std::getline(file, line)) {
    const size_t first = line.find(':'), last = line.find(':', first + 1);
    if (last == std::string::npos) continue;
    std::string controllers(",");  // appended to, as in file_reader.h's shown()
    controllers.append(line, first + 1, last - first - 1).append(",");
    const bool second = controllers == ",,";
    if (!second && controllers.find(",memory,") == std::string::npos) continue;
    const std::string top = root + (second ? "/sys/fs/cgroup" : "/sys/fs/cgroup/memory");
    std::string path = line.substr(last + 1);
    for (;;) {
      if (const auto left = left_in_group(top + path, second)) least = std::min(least.value_or(*left), *left);
      if (path.empty()) break;
      path.resize(path.find_last_of('/') == std::string::npos ? 0 : path.find_last_of('/'));
    }
  }
  return least;
}

}  // namespace

std::optional<size_t> free_memory(const std::string& root) {
  const auto kilobytes = sum_of(root + "/proc/meminfo", {"MemAvailable:", "SwapFree:"});
  if (!kilobytes) return std::nullopt;
  const size_t machine = *kilobytes * 1024;
  return std::min(machine, left_in_groups(root).value_or(machine));
}

size_t resident_memory() {
  std::ifstream file("/proc/self/statm");
  size_t size = 0, resident = 0, shared = 0;
  file >> size >> resident >> shared;
  return (resident - std::min(resident, shared)) * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

#else

std::optional<size_t> free_memory(const std::string&) { return std::nullopt; }
size_t resident_memory() { return 0; }

#endif

}  // namespace torch_learner
