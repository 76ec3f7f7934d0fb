#include "environment.h"

#include <algorithm>
#include <array>
#include <cstdlib>

#include "convert.h"
#include "dispatch.h"

namespace torch_learner {

namespace {

constexpr uint32_t kIndexBits = 24;
constexpr uint32_t kIndexMask = (1u << kIndexBits) - 1;

void on_javascript(napi_env env, napi_value, void* context, void* data) {
  std::unique_ptr<Completion> completion(static_cast<Completion*>(data));
  auto* mailbox = static_cast<std::shared_ptr<Mailbox>*>(context);
  if (env == nullptr) return;
  napi_handle_scope scope;
  napi_open_handle_scope(env, &scope);
  if (completion->deferred != nullptr) {
    (*mailbox)->settled(env);
    napi_value value = nullptr;
    bool ok = !completion->error;
    if (ok) {
      try {
        value = completion->build ? completion->build(env) : nullptr;
      } catch (const PendingJsException&) {
        ok = false;
        napi_get_and_clear_last_exception(env, &value);
      } catch (...) {
        ok = false;
        const ErrorText what = described();
        value = Environment::of(env).make_error(env, what.code, what.message, "");
      }
      if (ok && value == nullptr) napi_get_undefined(env, &value);
    } else {
      const ErrorText& what = *completion->error->what;
      if (completion->taken) {
        Environment::of(env).failures->tell_run(completion->error);
      } else {
        Environment::of(env).tell(completion->error, completion->origin);
      }
      value = Environment::of(env).make_error(env, what.code, what.message, what.op, what.origin);
    }
    if (ok) {
      napi_resolve_deferred(env, completion->deferred, value);
    } else {
      napi_reject_deferred(env, completion->deferred, value);
    }
  }
  try {
    if (completion->cleanup) completion->cleanup(env);
  } catch (...) {  // JavaScript can't run any more
    napi_value ignored;
    napi_get_and_clear_last_exception(env, &ignored);
  }
  Environment::of(env).account(env);  // what has run meanwhile has made and freed memory
  napi_close_handle_scope(env, scope);
}

// On the JavaScript thread: hands over what nobody has read.
void announce_unread(Environment& environment, napi_env env) {
  napi_value handler = nullptr, self, ignored;
  if (environment.unread_handler != nullptr) napi_get_reference_value(env, environment.unread_handler, &handler);
  if (handler == nullptr) return;
  napi_value list = to_js(env, environment.failures->take_unread());
  napi_get_undefined(env, &self);
  napi_call_function(env, self, handler, 1, &list, &ignored);
}

}  // namespace

napi_value to_js(napi_env env, const std::vector<Unread>& unread) {
  return to_list(env, unread, [env](const Unread& one) {
    const std::array fields{to_js(env, one.code), to_js(env, one.message), to_js(env, one.op),
                            to_js(env, static_cast<double>(one.origin)), to_js(env, static_cast<double>(one.count))};
    return to_list(env, fields, [](napi_value field) { return field; });
  });
}

void Mailbox::open(napi_env env) {
  napi_value name;
  check(napi_create_string_utf8(env, "torch-learner", NAPI_AUTO_LENGTH, &name));
  auto* self = new std::shared_ptr<Mailbox>(Environment::of(env).mailbox);
  check(napi_create_threadsafe_function(
      env, nullptr, nullptr, name, 0, 1, self,
      [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<Mailbox>*>(data); }, self, on_javascript,
      &function_));
  check(napi_unref_threadsafe_function(env, function_));
}

void Mailbox::close() {
  std::lock_guard lock(mutex_);
  if (function_ != nullptr) napi_release_threadsafe_function(function_, napi_tsfn_abort);
  function_ = nullptr;
}

void Mailbox::post(Completion* completion) {
  std::lock_guard lock(mutex_);
  if (function_ == nullptr || napi_call_threadsafe_function(function_, completion, napi_tsfn_nonblocking) != napi_ok) {
    delete completion;
  }
}

void Mailbox::expect(napi_env env) {
  if (pending_++ == 0 && function_ != nullptr) napi_ref_threadsafe_function(env, function_);
}

void Mailbox::settled(napi_env env) {
  if (--pending_ == 0 && function_ != nullptr) napi_unref_threadsafe_function(env, function_);
}

Environment::Environment(napi_env env_)
    : env(env_),
      failures(std::make_shared<Failures>([mailbox = mailbox] {
        auto* completion = new Completion;
        completion->cleanup = [](napi_env e) { announce_unread(Environment::of(e), e); };
        mailbox->post(completion);
      })),
      stream(failures) {
  const char* sync = std::getenv("TORCH_LEARNER_SYNC");
  synchronous = sync != nullptr && std::string(sync) == "1";
  if (synchronous) stream.keep_failed();
}

Environment::~Environment() {
  failures->close();
  for (Entry& entry : entries_) {
    if (entry.slot != nullptr) stream.drop(entry.slot);
  }
}

Environment& Environment::of(napi_env env) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  if (data == nullptr) throw Misuse("ERR_ADDON_LOAD", "torch-learner's environment is already closed.");
  return *static_cast<Environment*>(data);
}

double Environment::put(Slot* slot) {
  uint32_t index;
  if (free_.empty()) {
    if (entries_.size() > kIndexMask) {
      throw Misuse("ERR_OUT_OF_MEMORY", "More than 16 million tensors are alive: dispose them, or use scope().");
    }
    index = static_cast<uint32_t>(entries_.size());
    entries_.emplace_back();
  } else {
    index = free_.back();
    free_.pop_back();
  }
  entries_[index].slot = slot;
  live_++;
  return static_cast<double>((static_cast<uint64_t>(entries_[index].generation) << kIndexBits) | index);
}

double Environment::put(at::Tensor value) {
  Slot* slot = stream.make_slot(std::move(value));
  try {
    const double id = put(slot);
    account(env);
    return id;
  } catch (...) {
    stream.drop(slot);
    throw;
  }
}

Slot* Environment::get(double id) const {
  if (id > 0) {
    auto bits = static_cast<uint64_t>(id);
    size_t index = bits & kIndexMask;
    if (index < entries_.size() && entries_[index].slot != nullptr &&
        entries_[index].generation == bits >> kIndexBits) {
      return entries_[index].slot;
    }
  }
  throw Misuse(
      "ERR_DISPOSED",
      "Expected a live tensor but received one that was already disposed: it left its scope() or dispose() was "
      "called; return it from the scope, or call keep() on it, to use it for longer.");
}

bool Environment::release(double id) {
  if (!(id > 0)) return false;
  auto bits = static_cast<uint64_t>(id);
  size_t index = bits & kIndexMask;
  if (index >= entries_.size() || entries_[index].slot == nullptr || entries_[index].generation != bits >> kIndexBits) {
    return false;
  }
  Slot* slot = entries_[index].slot;
  entries_[index].slot = nullptr;
  entries_[index].generation = (entries_[index].generation + 1) & 0x1FFFFFFF;
  if (entries_[index].generation == 0) entries_[index].generation = 1;
  free_.push_back(static_cast<uint32_t>(index));
  live_--;
  stream.drop(slot);
  return true;
}

const OpFamily& Environment::family(size_t index) {
  if (index < families_.size() && families_[index] != nullptr) return *families_[index];
  const OpFamily& found = op_family(index);
  if (index >= families_.size()) families_.resize(index + 1);
  families_[index] = &found;
  return found;
}

Slot* Environment::fresh(Task& task) {
  Slot* slot = stream.make_slot();
  slot->refs.store(2, std::memory_order_relaxed);
  task.outs.push_back(slot);
  return slot;
}

uint64_t Environment::push(Task&& task) {
  // Outputs and targets become readable when this task has run; the number is known beforehand, and must be set before
  // the task is visible to the stream.
  uint64_t seq = stream.last() + 1;
  for (Slot* slot : task.outs) slot->seq = seq;
  for (Slot* slot : task.in_place) slot->seq = seq;
  stream.push(std::move(task));
  return seq;
}

void Environment::settle_if_synchronous() {
  if (!synchronous) return;
  stream.wait(stream.last());
  if (auto error = stream.take_failed()) report(error, error->what->origin);
}

napi_value Environment::promise(Completion* completion) {
  napi_value result;
  check(napi_create_promise(env, &completion->deferred, &result));
  mailbox->expect(env);
  return result;
}

napi_value Environment::make_error(napi_env env, const std::string& code, const std::string& message,
                                   const std::string& op, Origin origin) {
  napi_value c, m, o, error = nullptr, factory = nullptr;
  napi_create_string_utf8(env, code.c_str(), code.size(), &c);
  napi_create_string_utf8(env, message.c_str(), message.size(), &m);
  napi_create_string_utf8(env, op.c_str(), op.size(), &o);
  if (error_factory != nullptr) napi_get_reference_value(env, error_factory, &factory);
  if (factory != nullptr) {
    napi_value self, args[] = {c, m, o, nullptr};
    napi_create_double(env, static_cast<double>(origin), &args[3]);
    napi_get_undefined(env, &self);
    if (napi_call_function(env, self, factory, 4, args, &error) == napi_ok) return error;
    napi_get_and_clear_last_exception(env, &error);
    return error;
  }
  napi_create_error(env, c, m, &error);
  return error;
}

void Environment::throw_error(napi_env env, const std::string& code, const std::string& message, const std::string& op,
                              Origin origin) {
  napi_throw(env, make_error(env, code, message, op, origin));
}

void Environment::report(const ErrorPtr& error, std::optional<Origin> origin) {
  if (origin) {
    tell(error, *origin);
  } else {
    failures->tell_run(error);
  }
  const ErrorText& what = *error->what;
  throw_error(env, what.code, what.message, what.op, what.origin);
  throw PendingJsException{};
}

void Environment::await_slot(Slot* slot, Origin origin) {
  if (!stream.reached(slot->seq)) stream.wait(slot->seq);
  if (const ErrorPtr* error = slot->live_error(stream.last() + 1)) report(*error, origin);
  if (!slot->value.defined()) {
    throw Misuse("ERR_STATE", "This tensor has no value: the operator left that result undefined.");
  }
}

void Environment::account(napi_env env) {
  constexpr int64_t kStep = 4 << 20;
  int64_t change = stream.live_bytes() - reported_bytes_, ignored;
  if (change < kStep && change > -kStep) return;
  napi_adjust_external_memory(env, change, &ignored);
  reported_bytes_ += change;
}

napi_value guarded(napi_env env, napi_callback_info info, Export body) {
  void* data = nullptr;
  napi_get_instance_data(env, &data);
  if (data == nullptr) {
    napi_throw_error(env, "ERR_ADDON_LOAD", "torch-learner's environment is already closed.");
    return nullptr;
  }
  auto& environment = *static_cast<Environment*>(data);
  try {
    return body(environment, env, info);
  } catch (const PendingJsException&) {
  } catch (...) {
    const ErrorText what = described();
    environment.throw_error(env, what.code, what.message);
  }
  return nullptr;
}

}  // namespace torch_learner
