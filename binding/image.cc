#include "image.h"

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "image_decode.h"

namespace torch_learner {

namespace {

using image::DecodeError;
using image::Method;
using image::Padding;
using image::Problem;
using image::Request;
using image::Size;

struct Failure {
  size_t index;
  Problem problem;
  std::string reason;
};

const char* name_of(Problem problem) {
  switch (problem) {
    case Problem::missing:
      return "missing";
    case Problem::unreadable:
      return "unreadable";
    case Problem::empty:
      return "empty";
    case Problem::unsupported:
      return "unsupported";
    case Problem::damaged:
      return "damaged";
    case Problem::too_large:
      return "too-large";
    case Problem::wrong_size:
      return "wrong-size";
  }
  return "unreadable";
}

// One file's trouble is that file's: the others of its chunk are decoded all the same.
template <typename Work>
std::optional<Failure> attempt(size_t index, Work&& work) {
  try {
    work();
    return std::nullopt;
  } catch (const DecodeError& error) {
    return Failure{index, error.problem, error.reason};
  } catch (const std::bad_alloc&) {
    return Failure{index, Problem::too_large, "there isn't enough memory for it"};
  } catch (const std::exception& error) {
    return Failure{index, Problem::damaged, error.what()};
  }
}

// Values are made with the plain C interface, whose calls only return a status: when a worker is terminated, jobs end
// in an environment that runs no JavaScript any more, and an exception there would take the process with it.
napi_value make_number(napi_env env, double value) {
  napi_value result = nullptr;
  napi_create_double(env, value, &result);
  return result;
}

napi_value make_string(napi_env env, const std::string& value) {
  napi_value result = nullptr;
  napi_create_string_utf8(env, value.data(), value.size(), &result);
  return result;
}

napi_value make_failure(napi_env env, const Failure& failure) {
  napi_value object = nullptr;
  napi_create_object(env, &object);
  napi_set_named_property(env, object, "index", make_number(env, static_cast<double>(failure.index)));
  napi_set_named_property(env, object, "problem", make_string(env, name_of(failure.problem)));
  napi_set_named_property(env, object, "reason", make_string(env, failure.reason));
  return object;
}

// Something done on a thread of libuv's pool, with a promise for its result.
class Job {
 public:
  virtual ~Job() = default;

  // Takes ownership of the job; returns its promise.
  static Napi::Value start(Napi::Env env, std::unique_ptr<Job> job) {
    napi_value promise = nullptr;
    const Napi::String name = Napi::String::New(env, "torch_learner.image");
    const auto run = [](napi_env, void* data) { static_cast<Job*>(data)->execute(); };
    bool queued = napi_create_promise(env, &job->deferred_, &promise) == napi_ok &&
                  napi_create_async_work(env, nullptr, name, run, complete, job.get(), &job->work_) == napi_ok &&
                  napi_queue_async_work(env, job->work_) == napi_ok;
    if (!queued) throw Napi::Error::New(env, "Node can't queue the work");
    job.release();
    return Napi::Value(env, promise);
  }

 protected:
  virtual void execute() = 0;
  virtual napi_value result(napi_env env) = 0;

 private:
  static void complete(napi_env env, napi_status, void* data) {
    const std::unique_ptr<Job> job(static_cast<Job*>(data));
    napi_handle_scope scope;
    if (napi_open_handle_scope(env, &scope) == napi_ok) {
      napi_resolve_deferred(env, job->deferred_, job->result(env));
      napi_close_handle_scope(env, scope);
    }
    napi_delete_async_work(env, job->work_);
  }

  napi_deferred deferred_ = nullptr;
  napi_async_work work_ = nullptr;
};

// A chunk of a batch: picture k goes to out + k * picture bytes.
class DecodeJob : public Job {
 public:
  DecodeJob(std::vector<std::string> paths, std::vector<double> places, Request request, Napi::Uint8Array out,
            size_t offset)
      : paths_(std::move(paths)),
        places_(std::move(places)),
        request_(request),
        keep_(Napi::Persistent(out.As<Napi::Object>())),
        out_(out.Data() + offset) {}

 protected:
  void execute() override {
    image::Decoder decoder;
    const size_t bytes = static_cast<size_t>(request_.to.width) * request_.to.height * 3;
    for (size_t i = 0; i < paths_.size(); i++) {
      auto failure = attempt(
          i, [&] { decoder.decode(paths_[i], request_, places_[2 * i], places_[2 * i + 1], out_ + i * bytes); });
      if (failure) failures_.push_back(std::move(*failure));
    }
  }

  napi_value result(napi_env env) override {
    napi_value list = nullptr;
    napi_create_array_with_length(env, failures_.size(), &list);
    for (size_t i = 0; i < failures_.size(); i++) {
      napi_set_element(env, list, static_cast<uint32_t>(i), make_failure(env, failures_[i]));
    }
    return list;
  }

 private:
  std::vector<std::string> paths_;
  std::vector<double> places_;
  Request request_;
  Napi::ObjectReference keep_;  // the buffer stays alive while a thread writes into it
  uint8_t* out_;
  std::vector<Failure> failures_;
};

// Pixels that another decoder has read, cut and resized by the same code.
class FitJob : public Job {
 public:
  FitJob(Napi::Uint8Array rgb, Size size, double pct_x, double pct_y, Request request, Napi::Uint8Array out,
         size_t offset)
      : view_{rgb.Data(), size, static_cast<ptrdiff_t>(size.width) * 3},
        box_(image::choose_box(request.method, size, request.to, pct_x, pct_y)),
        request_(request),
        keep_in_(Napi::Persistent(rgb.As<Napi::Object>())),
        keep_out_(Napi::Persistent(out.As<Napi::Object>())),
        out_(out.Data() + offset) {}

 protected:
  void execute() override {
    failure_ = attempt(0, [&] { image::Resampler().fit(view_, view_.size, box_, request_, out_); });
  }

  napi_value result(napi_env env) override {
    napi_value undefined = nullptr;
    if (failure_) return make_failure(env, *failure_);
    napi_get_undefined(env, &undefined);
    return undefined;
  }

 private:
  image::View view_;
  image::Box box_;
  Request request_;
  Napi::ObjectReference keep_in_, keep_out_;
  uint8_t* out_;
  std::optional<Failure> failure_;
};

class SizeJob : public Job {
 public:
  explicit SizeJob(std::string path) : path_(std::move(path)) {}

 protected:
  void execute() override {
    failure_ = attempt(0, [&] { size_ = image::Decoder().size(path_); });
  }

  napi_value result(napi_env env) override {
    if (failure_) return make_failure(env, *failure_);
    napi_value object = nullptr;
    napi_create_object(env, &object);
    napi_set_named_property(env, object, "width", make_number(env, size_.width));
    napi_set_named_property(env, object, "height", make_number(env, size_.height));
    return object;
  }

 private:
  std::string path_;
  Size size_;
  std::optional<Failure> failure_;
};

// The callers are this package's own modules, which have checked the values: what is caught here is what would crash.
void require(Napi::Env env, bool condition, const char* what) {
  if (!condition) throw Napi::TypeError::New(env, what);
}

double number(const Napi::Value& value) { return value.ToNumber().DoubleValue(); }

Size read_size(Napi::Env env, const Napi::Value& width, const Napi::Value& height) {
  const Size size{width.ToNumber().Int32Value(), height.ToNumber().Int32Value()};
  require(env, size.width > 0 && size.height > 0, "width and height must be positive");
  return size;
}

Request read_request(Napi::Env env, const Napi::Object& options) {
  Request request;
  request.to = read_size(env, options.Get("width"), options.Get("height"));
  request.max_pixels = number(options.Get("maxPixels"));
  const std::string method = options.Get("method").ToString();
  const std::string padding = options.Get("padMode").ToString();
  request.method = method == "crop"     ? Method::crop
                   : method == "pad"    ? Method::pad
                   : method == "squish" ? Method::squish
                                        : Method::exact;
  request.padding = padding == "zeros" ? Padding::zeros : padding == "border" ? Padding::border : Padding::reflection;
  return request;
}

// decodeImages(paths, places, out, offset, {width, height, method, padMode, maxPixels})
Napi::Value decode_images(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  require(env,
          info.Length() == 5 && info[0].IsArray() && info[1].IsTypedArray() && info[2].IsTypedArray() &&
              info[3].IsNumber() && info[4].IsObject(),
          "expected (paths, places, out, offset, options)");
  const auto list = info[0].As<Napi::Array>();
  const auto places = info[1].As<Napi::TypedArray>();
  const auto out = info[2].As<Napi::TypedArray>();
  const int64_t offset = info[3].As<Napi::Number>().Int64Value();
  const Request request = read_request(env, info[4].As<Napi::Object>());
  std::vector<std::string> paths(list.Length());
  for (uint32_t i = 0; i < list.Length(); i++) paths[i] = list.Get(i).ToString();

  require(env, places.TypedArrayType() == napi_float64_array && places.ElementLength() == 2 * paths.size(),
          "places must be a Float64Array of two numbers a path");
  require(env, out.TypedArrayType() == napi_uint8_array, "out must be a Uint8Array");
  const double bytes = 3.0 * request.to.width * request.to.height * static_cast<double>(paths.size());
  require(env, offset >= 0 && static_cast<double>(offset) + bytes <= static_cast<double>(out.ByteLength()),
          "out is too small");
  const auto numbers = places.As<Napi::Float64Array>();
  auto job = std::make_unique<DecodeJob>(std::move(paths),
                                         std::vector<double>(numbers.Data(), numbers.Data() + numbers.ElementLength()),
                                         request, out.As<Napi::Uint8Array>(), static_cast<size_t>(offset));
  return Job::start(env, std::move(job));
}

// resizePixels(rgb, width, height, pctX, pctY, out, offset, {width, height, method, padMode, maxPixels})
Napi::Value resize_pixels(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  require(env, info.Length() == 8 && info[0].IsTypedArray() && info[5].IsTypedArray() && info[7].IsObject(),
          "expected (rgb, width, height, pctX, pctY, out, offset, options)");
  const auto rgb = info[0].As<Napi::TypedArray>();
  const auto out = info[5].As<Napi::TypedArray>();
  const Size size = read_size(env, info[1], info[2]);
  const double offset = number(info[6]);
  const Request request = read_request(env, info[7].As<Napi::Object>());
  require(env, rgb.TypedArrayType() == napi_uint8_array && out.TypedArrayType() == napi_uint8_array,
          "rgb and out must be Uint8Arrays");
  require(env, static_cast<double>(rgb.ByteLength()) >= 3.0 * size.width * size.height, "rgb is too small");
  require(env,
          offset >= 0 && offset + 3.0 * request.to.width * request.to.height <= static_cast<double>(out.ByteLength()),
          "out is too small");
  auto job = std::make_unique<FitJob>(rgb.As<Napi::Uint8Array>(), size, number(info[3]), number(info[4]), request,
                                      out.As<Napi::Uint8Array>(), static_cast<size_t>(offset));
  return Job::start(env, std::move(job));
}

// resizeBox(width, height, pctX, pctY, {width, height, method...}) -> [left, top, width, height]
Napi::Value resize_box(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  require(env, info.Length() == 5 && info[4].IsObject(), "expected (width, height, pctX, pctY, options)");
  const Request request = read_request(env, info[4].As<Napi::Object>());
  const image::Box box =
      image::choose_box(request.method, read_size(env, info[0], info[1]), request.to, number(info[2]), number(info[3]));
  Napi::Array list = Napi::Array::New(env, 4);
  list[0u] = box.left;
  list[1u] = box.top;
  list[2u] = box.size.width;
  list[3u] = box.size.height;
  return list;
}

// imageSize(path)
Napi::Value image_size(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  require(env, info.Length() == 1 && info[0].IsString(), "expected (path)");
  auto job = std::make_unique<SizeJob>(info[0].As<Napi::String>());
  return Job::start(env, std::move(job));
}

// imageCodecs()
Napi::Value image_codecs(const Napi::CallbackInfo& info) {
  const std::vector<std::string> names = image::codecs();
  Napi::Array list = Napi::Array::New(info.Env(), names.size());
  for (size_t i = 0; i < names.size(); i++) list[static_cast<uint32_t>(i)] = names[i];
  return list;
}

}  // namespace

void initImage(Napi::Env env, Napi::Object exports) {
  exports["decodeImages"] = Napi::Function::New<decode_images>(env, "decodeImages");
  exports["resizePixels"] = Napi::Function::New<resize_pixels>(env, "resizePixels");
  exports["resizeBox"] = Napi::Function::New<resize_box>(env, "resizeBox");
  exports["imageSize"] = Napi::Function::New<image_size>(env, "imageSize");
  exports["imageCodecs"] = Napi::Function::New<image_codecs>(env, "imageCodecs");
}

}  // namespace torch_learner
