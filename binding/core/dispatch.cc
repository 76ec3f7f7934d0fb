#include "dispatch.h"

#include <algorithm>
#include <deque>
#include <map>
#include <sstream>
#include <unordered_map>

namespace torch_learner {

namespace {

std::pair<ArgType, bool> classify(c10::TypePtr type) {
  bool optional = false;
  if (auto opt = type->cast<c10::OptionalType>()) {
    optional = true;
    type = opt->getElementType();
  }
  switch (type->kind()) {
    case c10::TypeKind::TensorType:
      return {ArgType::kTensor, optional};
    case c10::TypeKind::NumberType:
      return {ArgType::kScalar, optional};
    case c10::TypeKind::IntType:
    case c10::TypeKind::SymIntType:
      return {ArgType::kInt, optional};
    case c10::TypeKind::FloatType:
    case c10::TypeKind::SymFloatType:
      return {ArgType::kFloat, optional};
    case c10::TypeKind::BoolType:
    case c10::TypeKind::SymBoolType:
      return {ArgType::kBool, optional};
    case c10::TypeKind::StringType:
      return {ArgType::kString, optional};
    case c10::TypeKind::ScalarTypeType:
      return {ArgType::kScalarType, optional};
    case c10::TypeKind::DeviceObjType:
      return {ArgType::kDevice, optional};
    case c10::TypeKind::LayoutType:
      return {ArgType::kLayout, optional};
    case c10::TypeKind::MemoryFormatType:
      return {ArgType::kMemoryFormat, optional};
    case c10::TypeKind::GeneratorType:
      return {ArgType::kGenerator, optional};
    case c10::TypeKind::ListType: {
      auto element = type->castRaw<c10::ListType>()->getElementType();
      switch (element->kind()) {
        case c10::TypeKind::TensorType:
          return {ArgType::kTensorList, optional};
        case c10::TypeKind::OptionalType:
          return {ArgType::kOptionalTensorList, optional};
        case c10::TypeKind::IntType:
        case c10::TypeKind::SymIntType:
          return {ArgType::kIntList, optional};
        case c10::TypeKind::FloatType:
          return {ArgType::kFloatList, optional};
        case c10::TypeKind::BoolType:
          return {ArgType::kBoolList, optional};
        case c10::TypeKind::NumberType:
          return {ArgType::kScalarList, optional};
        default:
          return {ArgType::kUnsupported, optional};
      }
    }
    default:
      return {ArgType::kUnsupported, optional};
  }
}

// In-place operators that change more than elements without being tagged inplace_view.
constexpr std::string_view kRenewing[] = {
    "aten::requires_grad_",
    "aten::set_data",
    "aten::retain_grad",
    "aten::sparse_resize_",
    "aten::resize_as_sparse_",
    "aten::sparse_resize_and_clear_",
    "aten::copy_sparse_to_sparse_",
    "aten::_coalesced_",
    "aten::resize_",
    "aten::resize_as_",
    "aten::set_",
    "aten::_resize_output_",
    "aten::detach_",
    "aten::rename_",
};

OpOverload inspect(const c10::OperatorHandle& handle) {
  OpOverload op(handle);
  const c10::FunctionSchema& schema = handle.schema();
  const auto& id = handle.operator_name();
  op.name = id.overload_name.empty() ? id.name : id.name + "." + id.overload_name;
  op.schema = c10::toString(schema);
  op.check = find_check(id.name);
  op.is_backward = id.name == "aten::_backward";
  op.reads_gradients = id.name.rfind("torch_learner::", 0) == 0 && !schema.arguments().empty() &&
                       schema.arguments()[0].name() == "params";
  op.ignores_values = id.name == "torch_learner::zero_grad_";
  op.draws_random = handle.hasTag(at::Tag::nondeterministic_seeded);
  const bool renews = std::find(std::begin(kRenewing), std::end(kRenewing), id.name) != std::end(kRenewing);
  for (const c10::Argument& argument : schema.arguments()) {
    ArgSpec spec;
    spec.name = argument.name();
    spec.name_id = intern_name(spec.name);
    std::tie(spec.type, spec.optional) = classify(argument.real_type());
    spec.kwarg_only = argument.kwarg_only();
    spec.out = argument.is_out();
    spec.fixed_size = argument.N().value_or(0);
    spec.required = !argument.default_value().has_value();
    if (!spec.required) spec.fallback = *argument.default_value();
    op.has_out |= spec.out;
    op.writes |= argument.alias_info() != nullptr && argument.alias_info()->isWrite();
    op.args.push_back(std::move(spec));
  }
  for (const c10::Argument& result : schema.returns()) {
    int32_t alias = -1;
    if (result.alias_info() != nullptr && result.alias_info()->isWrite()) {
      for (size_t i = 0; i < op.args.size(); i++) {
        const auto* info = schema.arguments()[i].alias_info();
        if (info != nullptr && info->isWrite() && info->beforeSets() == result.alias_info()->beforeSets()) {
          alias = static_cast<int32_t>(i);
        }
      }
    }
    op.tensors_only &= result.real_type()->kind() == c10::TypeKind::TensorType;
    op.return_alias.push_back(alias);
  }
  op.reshapes = op.writes && (op.has_out || renews || handle.hasTag(at::Tag::inplace_view));
  return op;
}

// PyTorch tries the more specific signature first: the plain overload, tensors before numbers, out= last.
std::vector<int> rank(const OpOverload& op) {
  std::vector<int> r;
  r.push_back(op.has_out);
  bool unsupported = false;
  for (const auto& arg : op.args) unsupported |= arg.type == ArgType::kUnsupported && arg.required;
  r.push_back(unsupported);
  r.push_back(op.handle.operator_name().overload_name.empty() ? 0 : 1);
  for (const auto& arg : op.args) {
    int type = 0;
    switch (arg.type) {
      case ArgType::kTensor:
        type = 0;
        break;
      case ArgType::kTensorList:
        type = 1;
        break;
      case ArgType::kInt:
        type = 2;
        break;
      case ArgType::kFloat:
        type = 3;
        break;
      case ArgType::kScalar:
        type = 4;
        break;
      default:
        type = 5;
        break;
    }
    r.push_back(type * 2 + (arg.kwarg_only ? 1 : 0) + (arg.type == ArgType::kGenerator ? 20 : 0));
  }
  return r;
}

struct Registry {
  std::mutex mutex;
  std::deque<OpFamily> families;  // a deque keeps addresses
  std::unordered_map<std::string, size_t> index;
  std::unordered_map<std::string, std::vector<c10::OperatorHandle>> handles;
  size_t listed = 0;
  std::mutex names_mutex;
  std::unordered_map<std::string, uint32_t> names;
  std::deque<std::string> names_by_id;
};

Registry& registry() {
  static Registry* r = new Registry;  // outlives every environment
  return *r;
}

// Operators of libtorch, deprecated or odd, whose kernels bring the process down or never end when an argument is
// wrong, instead of looking at it first. As far as JavaScript is concerned they don't exist.
constexpr std::string_view kCrashing[] = {
    "aten::choose_qparams_optimized",  // searches bins until their number is met, which may be below 0
    "aten::native_batch_norm",         // reads statistics that may be absent; batch_norm looks first
    "aten::range",                // divides by a step that an integer dtype has rounded to 0; arange is its successor
    "aten::quantized_lstm_cell",  // takes two states from a list of any length
};

// Reads the dispatcher's table again whenever libraries have registered more operators since.
void refresh(Registry& r) {
  auto names = c10::Dispatcher::singleton().getAllOpNames();
  if (names.size() == r.listed) return;
  r.listed = names.size();
  r.handles.clear();
  for (const auto& name : names) {
    if (std::find(std::begin(kCrashing), std::end(kCrashing), name.name) != std::end(kCrashing)) continue;
    auto handle = c10::Dispatcher::singleton().findSchema(name);
    if (handle) r.handles[name.name].push_back(*handle);
  }
}

}  // namespace

ArgType classify_type(const c10::TypePtr& type) { return classify(type).first; }

uint32_t intern_name(const std::string& name) {
  Registry& r = registry();
  std::lock_guard lock(r.names_mutex);
  auto [entry, added] = r.names.emplace(name, static_cast<uint32_t>(r.names_by_id.size()));
  if (added) r.names_by_id.push_back(name);
  return entry->second;
}

std::string interned_name(uint32_t id) {
  Registry& r = registry();
  std::lock_guard lock(r.names_mutex);
  return id < r.names_by_id.size() ? r.names_by_id[id] : "?";
}

int64_t find_op(const std::string& name) {
  Registry& r = registry();
  std::lock_guard lock(r.mutex);
  auto known = r.index.find(name);
  if (known != r.index.end()) return static_cast<int64_t>(known->second);
  auto handles = r.handles.find(name);
  if (handles == r.handles.end()) {
    refresh(r);
    handles = r.handles.find(name);
    if (handles == r.handles.end()) return -1;
  }
  OpFamily family{name, {}};
  for (const auto& handle : handles->second) family.overloads.push_back(inspect(handle));
  std::stable_sort(family.overloads.begin(), family.overloads.end(), [](const OpOverload& a, const OpOverload& b) {
    auto ra = rank(a), rb = rank(b);
    return ra != rb ? ra < rb : a.name < b.name;
  });
  r.families.push_back(std::move(family));
  r.index[name] = r.families.size() - 1;
  return static_cast<int64_t>(r.families.size() - 1);
}

const OpFamily& op_family(size_t index) {
  Registry& r = registry();
  std::lock_guard lock(r.mutex);
  if (index >= r.families.size()) throw Misuse("ERR_INVALID_ARG", "Unknown operator index.");
  return r.families[index];
}

std::vector<std::string> op_names() {
  Registry& r = registry();
  std::lock_guard lock(r.mutex);
  refresh(r);
  std::vector<std::string> names;
  for (const auto& [name, _] : r.handles) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

namespace {

c10::IValue absent_tensor(const ArgSpec& spec) { return spec.optional ? c10::IValue() : c10::IValue(at::Tensor()); }

c10::IValue tensor_list(const ArgSpec& spec, const std::vector<Slot*>& slots) {
  if (spec.type == ArgType::kOptionalTensorList) {
    c10::List<std::optional<at::Tensor>> list;
    list.reserve(slots.size());
    for (Slot* slot : slots) list.push_back(slot ? std::optional<at::Tensor>(slot->value) : std::nullopt);
    return list;
  }
  c10::List<at::Tensor> list;
  list.reserve(slots.size());
  for (Slot* slot : slots) list.push_back(slot ? slot->value : at::Tensor());
  return list;
}

c10::IValue resolve(const ArgSpec& spec, const Arg& arg) {
  switch (arg.kind) {
    case Arg::Kind::kTensor:
      return arg.slot->value.defined() ? c10::IValue(arg.slot->value) : absent_tensor(spec);
    case Arg::Kind::kDouble:
      return spec.type == ArgType::kScalar ? c10::IValue(at::Scalar(arg.number)) : arg.number;
    case Arg::Kind::kInt:
      return spec.type == ArgType::kScalar ? c10::IValue(at::Scalar(arg.integer)) : arg.integer;
    case Arg::Kind::kIntList:
      return c10::IValue(at::IntArrayRef(*arg.integers));
    case Arg::Kind::kValue:
      return *arg.value;
    case Arg::Kind::kTensorList:
      return tensor_list(spec, *arg.list);
    case Arg::Kind::kDefault:
      break;
  }
  return spec.fallback;
}

}  // namespace

void run_operator(Task& task, torch::jit::Stack& stack) {
  const OpOverload& op = *task.op;
  // A task has one argument per schema argument, in order; absent trailing ones stand for their defaults.
  size_t given = std::min(task.args.size(), op.args.size());
  for (size_t i = 0; i < given; i++) stack.push_back(resolve(op.args[i], task.args[i]));
  for (size_t i = given; i < op.args.size(); i++) stack.push_back(op.args[i].fallback);
  if (op.check != nullptr) op.check(stack);
  op.handle.callBoxed(stack);
  if (task.run) {  // results that aren't all plain tensors are handed on as they are
    task.results.assign(std::make_move_iterator(stack.begin()), std::make_move_iterator(stack.end()));
    task.run(task);
    return;
  }
  size_t out = 0;
  for (size_t i = 0; i < op.return_alias.size(); i++) {
    if (op.return_alias[i] >= 0) continue;
    if (stack[i].isTensor()) task.outs[out]->value = std::move(stack[i]).toTensor();
    out++;
  }
}

std::string describe_call(const Task& task) {
  std::ostringstream text;
  text << task.op->schema << " called with";
  bool first = true;
  auto describe = [&](const std::string& name, const Slot* slot) {
    text << (first ? " " : ", ") << name << ": ";
    first = false;
    if (slot == nullptr || !slot->value.defined()) {
      text << "none";
      return;
    }
    text << c10::toString(slot->value.scalar_type());
    if (slot->value.is_nested()) {  // has no sizes, and says so with an exception
      text << " nested";
    } else {
      text << slot->value.sizes();
    }
    if (!slot->value.device().is_cpu()) text << " on " << slot->value.device();
  };
  for (size_t i = 0; i < task.args.size() && i < task.op->args.size(); i++) {
    const Arg& arg = task.args[i];
    const std::string& name = task.op->args[i].name;
    if (arg.kind == Arg::Kind::kTensor) describe(name, arg.slot);
    if (arg.kind == Arg::Kind::kTensorList) {
      for (size_t k = 0; k < arg.list->size() && k < 4; k++)
        describe(name + "[" + std::to_string(k) + "]", (*arg.list)[k]);
    }
  }
  if (first) text << " no tensors";
  return text.str();
}

}  // namespace torch_learner
