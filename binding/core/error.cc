#include "error.h"

#include <algorithm>
#include <string_view>

namespace torch_learner {

namespace {

// Failed assertions inside libtorch ask for a report to PyTorch. Our users have nothing to report there: the arguments
// are such as its own checks leave out. What was asserted is of use, and so is what libtorch says besides.
std::string without_requests(std::string_view text) {
  constexpr std::string_view kUnexplained = " to be true, but got false. (Could this error message be improved?";
  constexpr std::string_view kFailed = "INTERNAL ASSERT FAILED";
  constexpr std::string_view kReport = "please report a bug to PyTorch.";
  if (const size_t end = text.find(kUnexplained); end != std::string_view::npos)
    return std::string(text.substr(0, end));
  const size_t failed = text.find(kFailed);
  if (failed == std::string_view::npos) return std::string(text);
  std::string_view condition = text.substr(0, failed);
  while (!condition.empty() && condition.back() == ' ') condition.remove_suffix(1);
  const size_t report = text.find(kReport, failed);
  std::string_view reason = report == std::string_view::npos ? "" : text.substr(report + kReport.size());
  reason.remove_prefix(std::min(reason.find_first_not_of(' '), reason.size()));
  std::string line = "The operator was called with arguments that libtorch doesn't handle";
  const bool has_condition = !condition.empty() && condition != "false";
  if (has_condition || !reason.empty()) line += ": ";
  if (has_condition) line.append("expected ").append(condition);
  if (has_condition && !reason.empty()) line += ". ";
  return line.append(reason);
}

}  // namespace

std::string one_line(const char* text) {
  const std::string_view whole(text);
  size_t end = whole.size();
  for (std::string_view tail : {"\nException raised from", "\n\n", " This could be because the operator doesn't exist",
                                ", or that you (the operator writer)"}) {
    end = std::min(end, whole.find(tail));
  }
  std::string line;
  for (char c : whole.substr(0, end)) {
    const bool blank = c == ' ' || c == '\n' || c == '\t' || c == '\r';
    if (!blank) {
      line += c;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  while (!line.empty() && line.back() == ' ') line.pop_back();
  return line.empty() ? "libtorch gave no reason" : without_requests(line);
}

ErrorText described(const char* otherwise) {
  try {
    throw;
  } catch (const Misuse& e) {
    return {e.code, e.message, "", 0};
  } catch (const c10::OutOfMemoryError& e) {
    return {"ERR_OUT_OF_MEMORY", one_line(e.what_without_backtrace()), "", 0};
  } catch (const c10::Error& e) {
    return {otherwise, one_line(e.what_without_backtrace()), "", 0};
  } catch (const std::bad_alloc&) {
    return {"ERR_OUT_OF_MEMORY", "Not enough memory", "", 0};
  } catch (const std::exception& e) {
    return {otherwise, one_line(e.what()), "", 0};
  } catch (...) {
    return {otherwise, "An unknown native exception was thrown", "", 0};
  }
}

}  // namespace torch_learner
