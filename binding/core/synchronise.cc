// Waiting for the stream, and hearing of what has failed on it.
#include "convert.h"

namespace torch_learner {

void deliver(Environment& environment, Slot* slot, Completion* completion, Origin origin, Failures::Reach reach) {
  completion->origin = origin;
  Task task;
  task.always = true;
  if (slot != nullptr) {
    Arg& arg = task.args.emplace_back();
    arg.kind = Arg::Kind::kTensor;
    arg.slot = slot;
  }
  task.run = [completion, origin, reach, mailbox = environment.mailbox, stream = &environment.stream](Task& t) {
    if (!t.args.empty() && t.args[0].slot->error) {
      completion->error = t.args[0].slot->error;
    } else if (reach != Failures::Reach::kNone) {
      stream->tidy();
      completion->error = stream->failures().take(origin, reach);
      completion->taken = true;
    }
    mailbox->post(completion);
  };
  environment.push(std::move(task));
}

namespace {

// mark(origin, whole) -> Promise<void>: everything recorded so far has run. Rejects with what nobody in the origin's
// run has been told of and nobody can read; `whole`, at its end, also with what somebody could still read.
napi_value mark(Environment& environment, napi_env env, napi_callback_info info) {
  Args<2> args(env, info);
  const Origin origin = read_origin(env, args[0]);
  const bool whole = read_bool(env, args[1], "whole");
  auto* completion = new Completion;
  napi_value promise = environment.promise(completion);
  deliver(environment, nullptr, completion, origin, whole ? Failures::Reach::kAll : Failures::Reach::kRun);
  return promise;
}

// sync(origin): mark, on the spot
napi_value sync(Environment& environment, napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  const Origin origin = read_origin(env, args[0]);
  Task task;
  auto error = std::make_shared<ErrorPtr>();
  task.run = [origin, error, stream = &environment.stream](Task&) {
    stream->tidy();
    *error = stream->failures().take(origin, Failures::Reach::kRun);
  };
  environment.stream.wait(environment.push(std::move(task)));
  if (*error) environment.report(*error, std::nullopt);
  return nullptr;
}

// beginRun() -> its number
napi_value begin_run(Environment& environment, napi_env env, napi_callback_info) {
  return to_js(env, static_cast<double>(environment.failures->begin()));
}

// endRun(run, excused): what it has recorded so far still belongs to it
napi_value end_run(Environment& environment, napi_env env, napi_callback_info info) {
  Args<2> args(env, info);
  const auto run = static_cast<uint32_t>(read_integer(env, args[0], "run"));
  const bool excused = read_bool(env, args[1], "excused");
  Task task;
  task.run = [run, excused, stream = &environment.stream](Task&) {
    stream->tidy();
    stream->failures().end(run, excused);
  };
  environment.push(std::move(task));
  return nullptr;
}

// onUnread(handler): called with errors that nobody can read any more
napi_value on_unread(Environment& environment, napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  if (environment.unread_handler != nullptr) check(napi_delete_reference(env, environment.unread_handler));
  check(napi_create_reference(env, args[0], 1, &environment.unread_handler));
  return nullptr;
}

// Whether everything recorded has run.
napi_value quiet(Environment& environment, napi_env env, napi_callback_info) {
  return to_js(env, environment.stream.reached(environment.stream.last()));
}

// unread(): all that nobody has been told of, when the program ends; they count as told
napi_value unread(Environment& environment, napi_env env, napi_callback_info) {
  return to_js(env, environment.failures->take_everything());
}

}  // namespace

void init_synchronise(napi_env env, napi_value exports) {
  define<mark>(env, exports, "mark");
  define<sync>(env, exports, "sync");
  define<begin_run>(env, exports, "beginRun");
  define<end_run>(env, exports, "endRun");
  define<on_unread>(env, exports, "onUnread");
  define<quiet>(env, exports, "quiet");
  define<unread>(env, exports, "unread");
}

}  // namespace torch_learner
