// Pictures for JavaScript: files and pixels to batches, on threads of the addon's own (job_pool.h).
#include <algorithm>

#include "convert.h"
#include "core/job.h"

namespace torch_learner {

namespace {

using image::Decoder;
using image::Request;
using image::Size;
using image::Step;

// One for each thread: its buffers live as long as the thread.
Decoder& decoder() {
  thread_local Decoder own;
  return own;
}

class PictureJob : public Job {
 public:
  using Job::Job;

  // The memory of a typed array of ours, which stays alive until the promise is settled.
  uint8_t* borrow(napi_env env, napi_value array, size_t& length) {
    napi_typedarray_type type;
    void* data = nullptr;
    if (napi_get_typedarray_info(env, array, &type, &length, &data, nullptr, nullptr) != napi_ok ||
        type != napi_uint8_array) {
      throw Misuse("ERR_INVALID_ARG", "Expected a Uint8Array for pixels but received another type.");
    }
    hold(env, array);
    return static_cast<uint8_t*>(data);
  }

  // Where pictures of `bytes` each go: the memory of a tensor handle or of a Uint8Array.
  uint8_t* target(Environment& environment, napi_env env, napi_value out, size_t bytes, size_t pictures) {
    napi_valuetype type;
    check(napi_typeof(env, out, &type));
    size_t length = 0;
    uint8_t* data = nullptr;
    if (type == napi_number) {
      tensor_ = environment.get(read_number(env, out, "out"))->value;
      length =
          tensor_.defined() && tensor_.scalar_type() == at::kByte && tensor_.is_contiguous() ? tensor_.nbytes() : 0;
      data = length == 0 ? nullptr : tensor_.data_ptr<uint8_t>();
    } else {
      data = borrow(env, out, length);
    }
    if (length / bytes < pictures) throw Misuse("ERR_INVALID_ARG", "Expected more room in out for the pictures.");
    return data;
  }

 private:
  at::Tensor tensor_;
};

// The files of a batch: file k becomes picture slots[k] of the target.
class DecodeJob : public PictureJob {
 public:
  DecodeJob(std::vector<std::string> paths, std::vector<double> draws, std::vector<int64_t> slots, Request request,
            int threads, double ticket)
      : PictureJob(paths.size(), threads, ticket),
        paths_(std::move(paths)),
        draws_(std::move(draws)),
        slots_(std::move(slots)),
        request_(std::move(request)) {}

  uint8_t* out = nullptr;

 protected:
  void run(size_t item) noexcept override {
    const size_t bytes = static_cast<size_t>(request_.to().width) * request_.to().height * 3;
    const double* draws = draws_.data() + item * request_.draws();
    auto failure = attempt(item, [&] {
      decoder().decode(paths_[item], request_, draws, out + static_cast<size_t>(slots_[item]) * bytes);
    });
    if (!failure) return;
    std::lock_guard lock(mutex_);
    failures_.push_back(std::move(*failure));
  }

  napi_value result(napi_env env) override {
    std::sort(failures_.begin(), failures_.end(), [](const auto& a, const auto& b) { return a.index < b.index; });
    return to_list(env, failures_, [env](const Failure& failure) { return make_failure(env, failure); });
  }

 private:
  const std::vector<std::string> paths_;
  const std::vector<double> draws_;
  const std::vector<int64_t> slots_;
  const Request request_;
  std::mutex mutex_;
  std::vector<Failure> failures_;
};

// Pixels that another decoder has read.
class FitJob : public PictureJob {
 public:
  FitJob(Size size, std::vector<double> draws, Request request)
      : PictureJob(1, single_threads(), 0), size_(size), draws_(std::move(draws)), request_(std::move(request)) {}

  const uint8_t* rgb = nullptr;
  uint8_t* out = nullptr;

 protected:
  void run(size_t) noexcept override {
    const image::View view{rgb, size_, static_cast<ptrdiff_t>(size_.width) * 3};
    failure_ = attempt(0, [&] { decoder().fit(view, request_, draws_.data(), out); });
  }

  napi_value result(napi_env env) override { return failure_ ? make_failure(env, *failure_) : nullptr; }

 private:
  const Size size_;
  const std::vector<double> draws_;
  const Request request_;
  std::optional<Failure> failure_;
};

class SizeJob : public PictureJob {
 public:
  SizeJob(std::string path, bool is_upright)
      : PictureJob(1, single_threads(), 0), path_(std::move(path)), is_upright_(is_upright) {}

 protected:
  void run(size_t) noexcept override {
    failure_ = attempt(0, [&] { size_ = decoder().size(path_, is_upright_); });
  }

  napi_value result(napi_env env) override {
    if (failure_) return make_failure(env, *failure_);
    return make_object(env, {{"width", to_js(env, static_cast<double>(size_.width))},
                             {"height", to_js(env, static_cast<double>(size_.height))}});
  }

 private:
  const std::string path_;
  const bool is_upright_;
  Size size_;
  std::optional<Failure> failure_;
};

// decodeImages(paths, draws, out, slots, request, threads, ticket) -> Promise<failures>
napi_value decode_images(Environment& environment, napi_env env, napi_callback_info info) {
  Args<7> args(env, info);
  require(args.count == 7, "(paths, draws, out, slots, request, threads, ticket)");
  uint32_t count = 0;
  check(napi_get_array_length(env, args[0], &count));
  std::vector<std::string> paths(count);
  for (uint32_t i = 0; i < count; i++) {
    napi_value path;
    check(napi_get_element(env, args[0], i, &path));
    paths[i] = read_string(env, path);
  }
  Request request = read_request(env, args[4]);
  std::vector<double> draws = read_draws(env, args[1], request.draws() * count);
  std::vector<int64_t> slots = read_shape(env, args[3]);
  require(slots.size() == count, "a slot for each path");
  int64_t last = -1;
  for (int64_t slot : slots) {
    require(slot >= 0, "slots from 0");
    last = std::max(last, slot);
  }
  const double threads = read_number(env, args[5], "threads");
  require(threads >= 1, "at least one thread");
  const size_t bytes = static_cast<size_t>(request.to().width) * request.to().height * 3;
  auto job =
      std::make_shared<DecodeJob>(std::move(paths), std::move(draws), std::move(slots), std::move(request),
                                  static_cast<int>(std::min(threads, 256.0)), read_number(env, args[6], "ticket"));
  job->out = job->target(environment, env, args[2], bytes, static_cast<size_t>(last + 1));
  return Job::start(environment, env, job, count);
}

// resizePixels(rgb, width, height, draws, out, slot, request) -> Promise<failure or undefined>
napi_value resize_pixels(Environment& environment, napi_env env, napi_callback_info info) {
  Args<7> args(env, info);
  require(args.count == 7, "(rgb, width, height, draws, out, slot, request)");
  const Size size = make_size(read_number(env, args[1], "width"), read_number(env, args[2], "height"));
  Request request = read_request(env, args[6]);
  const int64_t slot = read_integer(env, args[5], "slot");
  require(slot >= 0, "slots from 0");
  const size_t bytes = static_cast<size_t>(request.to().width) * request.to().height * 3;
  std::vector<double> draws = read_draws(env, args[3], request.draws());
  auto job = std::make_shared<FitJob>(size, std::move(draws), std::move(request));
  size_t length = 0;
  job->rgb = job->borrow(env, args[0], length);
  require(length / 3 / static_cast<size_t>(size.width) >= static_cast<size_t>(size.height), "more pixels in rgb");
  job->out =
      job->target(environment, env, args[4], bytes, static_cast<size_t>(slot) + 1) + static_cast<size_t>(slot) * bytes;
  return Job::start(environment, env, job, 1);
}

// stepBox(step, width, height, draws) -> [left, top, width, height]
napi_value step_box(Environment&, napi_env env, napi_callback_info info) {
  Args<4> args(env, info);
  require(args.count == 4, "(step, width, height, draws)");
  const Step step = read_step(env, args[0]);
  const Size size = make_size(read_number(env, args[1], "width"), read_number(env, args[2], "height"));
  const image::Box box = image::choose_box(step, size, read_draws(env, args[3], image::draws_of(step)).data());
  const int64_t list[] = {box.left, box.top, box.size.width, box.size.height};
  return to_js(env, at::IntArrayRef(list));
}

// pictureBatch(n, height, width) -> handle of uint8 (n, height, width, 3), its memory not written yet
napi_value picture_batch(Environment& environment, napi_env env, napi_callback_info info) {
  Args<3> args(env, info);
  require(args.count == 3, "(n, height, width)");
  const int64_t n = read_integer(env, args[0], "n"), height = read_integer(env, args[1], "height"),
                width = read_integer(env, args[2], "width");
  return to_js(env, environment.put(at::empty({n, height, width, 3}, at::kByte)));
}

// imageSize(path, upright) -> Promise<{width, height} or failure>
napi_value image_size(Environment& environment, napi_env env, napi_callback_info info) {
  Args<2> args(env, info);
  require(args.count == 2, "(path, upright)");
  auto job = std::make_shared<SizeJob>(read_string(env, args[0]), read_bool(env, args[1], "upright"));
  return Job::start(environment, env, job, 1);
}

// dropImages(ticket): what hasn't begun of those files is left out, and their promises are settled.
napi_value drop_images(Environment& environment, napi_env env, napi_callback_info info) {
  Args<1> args(env, info);
  environment.jobs.drop(read_number(env, args[0], "ticket"));
  return nullptr;
}

// imageThreads() -> {threads, waiting}
napi_value image_threads(Environment& environment, napi_env env, napi_callback_info) {
  return make_object(env, {{"threads", to_js(env, static_cast<double>(environment.jobs.threads()))},
                           {"waiting", to_js(env, static_cast<double>(environment.jobs.waiting()))}});
}

napi_value image_codecs(Environment&, napi_env env, napi_callback_info) {
  return to_list(env, image::codecs(), [env](const std::string& name) { return to_js(env, name); });
}

}  // namespace

void init_image(napi_env env, napi_value exports) {
  define<decode_images>(env, exports, "decodeImages");
  define<resize_pixels>(env, exports, "resizePixels");
  define<step_box>(env, exports, "stepBox");
  define<picture_batch>(env, exports, "pictureBatch");
  define<image_size>(env, exports, "imageSize");
  define<drop_images>(env, exports, "dropImages");
  define<image_threads>(env, exports, "imageThreads");
  define<image_codecs>(env, exports, "imageCodecs");
}

}  // namespace torch_learner
