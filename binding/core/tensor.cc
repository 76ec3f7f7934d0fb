// Tensor handles: made from JavaScript's memory, read back into it, described and freed.
#include "convert.h"

namespace torch_learner {

namespace {

// Keeps an array alive while a tensor uses its memory. The last tensor may die on any thread, so the reference is given
// back by mail. This keeps the memory only if nobody can take it from the array: an ArrayBuffer's goes elsewhere when
// it is transferred, and its reference says nothing of that.
class BufferLoan {
 public:
  BufferLoan(napi_env env, napi_value array, std::shared_ptr<Mailbox> mailbox) : mailbox_(std::move(mailbox)) {
    check(napi_create_reference(env, array, 1, &reference_));
  }
  void end() {
    auto* completion = new Completion;
    completion->cleanup = [reference = reference_](napi_env env) { napi_delete_reference(env, reference); };
    mailbox_->post(completion);
    delete this;
  }

 private:
  napi_ref reference_ = nullptr;
  std::shared_ptr<Mailbox> mailbox_;
};

int64_t element_count(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  for (int64_t size : shape) {
    if (size != 0 && count > INT64_MAX / 16 / size)
      throw Misuse("ERR_INVALID_ARG", "The shape holds too many elements.");
    count *= size;
  }
  return count;
}

// fromBuffer(Uint8Array, shape, dtype, copy) -> handle
napi_value from_buffer(Environment& environment, napi_env env, napi_callback_info info) {
  Args<4> args(env, info);
  void* data;
  size_t length;
  napi_typedarray_type type;
  if (napi_get_typedarray_info(env, args[0], &type, &length, &data, nullptr, nullptr) != napi_ok ||
      type != napi_uint8_array) {
    throw Misuse("ERR_INVALID_ARG", "Expected a Uint8Array for data but received another type.");
  }
  auto shape = read_shape(env, args[1]);
  auto dtype = require_dtype(read_string(env, args[2]));
  bool copy = read_bool(env, args[3], "copy");
  int64_t bytes = element_count(shape) * static_cast<int64_t>(c10::elementSize(dtype));
  if (bytes > static_cast<int64_t>(length)) {
    throw Misuse("ERR_INVALID_ARG", "Expected at least " + std::to_string(bytes) +
                                        " bytes of data for the shape but received " + std::to_string(length) + ".");
  }
  auto options = at::TensorOptions().dtype(dtype);
  if (bytes > 0 && !copy) {
    auto* loan = new BufferLoan(env, args[0], environment.mailbox);
    return to_js(env, environment.put(at::from_blob(
                          data, shape, [loan](void*) { loan->end(); }, options)));
  }
  at::Tensor value = at::empty(shape, options);
  if (bytes > 0) std::memcpy(value.data_ptr(), data, static_cast<size_t>(bytes));
  return to_js(env, environment.put(value));
}

napi_value release(Environment& environment, napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  environment.release(read_number(env, args[0], "handle"));
  return nullptr;
}

// A second handle of the same slot.
napi_value share(Environment& environment, napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  Slot* slot = environment.get(read_number(env, args[0], "handle"));
  slot->refs.fetch_add(1, std::memory_order_relaxed);
  return to_js(env, environment.put(slot));
}

const char* memory_format(const at::Tensor& tensor) {
  if (tensor.layout() != at::kStrided) return "strided";
  if (tensor.is_contiguous()) return "contiguous";
  if (tensor.is_contiguous(at::MemoryFormat::ChannelsLast)) return "channels_last";
  if (tensor.is_contiguous(at::MemoryFormat::ChannelsLast3d)) return "channels_last_3d";
  return "strided";
}

// The tensor of a handle, for what is read of it while the stream runs on: it waits for the last task that may have
// changed that through whichever handle.
const at::Tensor& settled(Environment& environment, double handle, Origin origin, uint64_t seq) {
  Slot* slot = environment.get(handle);
  environment.await_slot(slot, origin);
  if (!environment.stream.reached(seq)) environment.stream.wait(seq);
  return slot->value;
}
const at::Tensor& settled(Environment& environment, napi_env env, const Args<2>& args, uint64_t seq) {
  return settled(environment, read_number(env, args[0], "handle"), read_origin(env, args[1]), seq);
}

// describe(handle, origin) -> {shape, strides, dtype, device, memoryFormat}
napi_value describe(Environment& environment, napi_env env, napi_callback_info info) {
  Args<2> args(env, info);
  const at::Tensor& value = settled(environment, env, args, environment.reshaped_seq);
  napi_value result;
  check(napi_create_object(env, &result));
  auto set = [&](const char* name, napi_value v) { check(napi_set_named_property(env, result, name, v)); };
  set("shape", to_js(env, value.sizes()));
  set("strides", to_js(env, value.layout() == at::kStrided ? value.strides() : at::IntArrayRef()));
  set("dtype", to_js(env, dtype_name(value.scalar_type())));
  set("device", to_js(env, value.device().str()));
  set("memoryFormat", to_js(env, std::string(memory_format(value))));
  return result;
}

// outlines(handles, origin) -> for each whether it is floating, the number of its dimensions, and their sizes: all in
// one array
napi_value outlines(Environment& environment, napi_env env, napi_callback_info info) {
  Args<2> args(env, info);
  const Origin origin = read_origin(env, args[1]);
  std::vector<double> numbers;
  for (const double handle : read_handles(env, args[0])) {
    const at::Tensor& value = settled(environment, handle, origin, environment.reshaped_seq);
    numbers.push_back(value.is_floating_point() ? 1 : 0);
    numbers.push_back(static_cast<double>(value.dim()));
    for (const int64_t size : value.sizes()) numbers.push_back(static_cast<double>(size));
  }
  void* data;
  napi_value buffer, result;
  check(napi_create_arraybuffer(env, numbers.size() * sizeof(double), &data, &buffer));
  std::copy(numbers.begin(), numbers.end(), static_cast<double*>(data));
  check(napi_create_typedarray(env, napi_float64_array, numbers.size(), buffer, 0, &result));
  return result;
}

// history(handle, origin) -> {requiresGrad, isLeaf}
napi_value history(Environment& environment, napi_env env, napi_callback_info info) {
  Args<2> args(env, info);
  const at::Tensor& value =
      settled(environment, env, args, std::max(environment.reshaped_seq, environment.history_seq));
  napi_value result;
  check(napi_create_object(env, &result));
  check(napi_set_named_property(env, result, "requiresGrad", to_js(env, value.requires_grad())));
  check(napi_set_named_property(env, result, "isLeaf", to_js(env, value.is_leaf())));
  return result;
}

// A counter that JavaScript reads without a call. The exports keep it as long as there is an environment.
void share_counter(napi_env env, napi_value exports) {
  void* data;
  napi_value buffer, counter;
  check(napi_create_arraybuffer(env, sizeof(uint32_t), &data, &buffer));
  check(napi_create_typedarray(env, napi_uint32_array, 1, buffer, 0, &counter));
  check(napi_set_named_property(env, exports, "reshaped", counter));
  napi_ref reference;
  check(napi_create_reference(env, buffer, 1, &reference));
  Environment::of(env).reshaped = static_cast<uint32_t*>(data);
}

// Below this, copying is cheaper than an ArrayBuffer with a finalizer.
constexpr size_t kSmall = 4096;

// The bytes of a tensor as an ArrayBuffer that owns (or shares) them.
napi_value to_array(napi_env env, const std::shared_ptr<at::Tensor>& reading, bool copy) {
  const at::Tensor& value = *reading;
  size_t bytes = value.nbytes();
  napi_value buffer, result;
  napi_status status = napi_generic_failure;
  if (bytes > 0 && (bytes > kSmall || !copy)) {
    auto* keep = new std::shared_ptr<at::Tensor>(reading);
    auto free = [](napi_env, void*, void* hint) { delete static_cast<std::shared_ptr<at::Tensor>*>(hint); };
    status = napi_create_external_arraybuffer(env, value.data_ptr(), bytes, free, keep, &buffer);
    if (status != napi_ok) delete keep;
  }
  if (status != napi_ok) {  // small, empty, or a runtime which allows no external memory
    void* data;
    check(napi_create_arraybuffer(env, bytes, &data, &buffer));
    if (bytes > 0) std::memcpy(data, value.data_ptr(), bytes);
  }
  check(napi_create_object(env, &result));
  check(napi_set_named_property(env, result, "buffer", buffer));
  check(napi_set_named_property(env, result, "dtype", to_js(env, dtype_name(value.scalar_type()))));
  check(napi_set_named_property(env, result, "shape", to_js(env, value.sizes())));
  return result;
}

at::Tensor readable(const at::Tensor& value, bool copy) {
  if (!value.defined()) throw Misuse("ERR_STATE", "This tensor has no value: the operator left that result undefined.");
  const at::NoGradGuard no_grad;
  const c10::impl::ExcludeDispatchKeyGuard no_autocast(c10::autocast_dispatch_keyset);
  at::Tensor host = value.detach();
  if (host.layout() != at::kStrided) host = host.to_dense();
  host = host.resolve_conj().resolve_neg();
  at::Tensor dense = host.to(at::kCPU).contiguous();
  if (copy) return dense.is_alias_of(value) ? dense.clone() : dense;
  // JavaScript will see this memory: no operator may put other memory in its place
  dense.mutable_data_ptr();
  dense.storage().unsafeGetStorageImpl()->set_resizable(false);
  return dense;
}

// A reading under way.
struct Reading {
  bool copy;
  Origin origin;
  std::shared_ptr<at::Tensor> value;  // there when the stream has done it
  Slot* holder;                       // carries the error if there is one
};

// Records what `handle, copy, origin` ask for; everything that computes, computes on the stream, which owns the threads
// for it.
Reading record_reading(Environment& environment, napi_env env, napi_callback_info info) {
  Args<3> args(env, info);
  Slot* slot = environment.get(read_number(env, args[0], "handle"));
  const bool copy = read_bool(env, args[1], "copy");
  Task task;
  task.origin = read_origin(env, args[2]);
  Arg& arg = task.args.emplace_back();
  arg.kind = Arg::Kind::kTensor;
  arg.slot = slot;
  slot->refs.fetch_add(1, std::memory_order_relaxed);
  Reading reading{copy, task.origin, std::make_shared<at::Tensor>(), environment.fresh(task)};
  task.run = [value = reading.value, copy](Task& t) { *value = readable(t.args[0].slot->value, copy); };
  environment.push(std::move(task));
  return reading;
}

// read(handle, copy, origin) -> Promise<{buffer, dtype, shape}>
napi_value read(Environment& environment, napi_env env, napi_callback_info info) {
  const Reading reading = record_reading(environment, env, info);
  auto* completion = new Completion;
  completion->build = [value = reading.value, copy = reading.copy](napi_env e) { return to_array(e, value, copy); };
  napi_value promise = environment.promise(completion);
  deliver(environment, reading.holder, completion, reading.origin);
  return promise;
}

napi_value read_sync(Environment& environment, napi_env env, napi_callback_info info) {
  const Reading reading = record_reading(environment, env, info);
  environment.stream.wait(environment.stream.last());
  ErrorPtr error = reading.holder->error;
  environment.stream.drop(reading.holder);
  if (error) environment.report(error, reading.origin);
  return to_array(env, reading.value, reading.copy);
}

napi_value stats(Environment& environment, napi_env env, napi_callback_info) {
  napi_value result;
  check(napi_create_object(env, &result));
  check(napi_set_named_property(env, result, "tensors", to_js(env, static_cast<double>(environment.live()))));
  check(
      napi_set_named_property(env, result, "bytes", to_js(env, static_cast<double>(environment.stream.live_bytes()))));
  check(napi_set_named_property(env, result, "slots", to_js(env, static_cast<double>(environment.stream.slots()))));
  return result;
}

}  // namespace

void init_tensor(napi_env env, napi_value exports) {
  define<from_buffer>(env, exports, "fromBuffer");
  define<release>(env, exports, "free");
  define<share>(env, exports, "share");
  share_counter(env, exports);
  define<describe>(env, exports, "describe");
  define<outlines>(env, exports, "outlines");
  define<history>(env, exports, "history");
  define<read>(env, exports, "read");
  define<read_sync>(env, exports, "readSync");
  define<stats>(env, exports, "stats");
}

}  // namespace torch_learner
