// Multi-head attention (Vaswani et al. 2017, "Attention is all you need"), composed of libtorch's operators in one
// call: masks and layouts depend on shapes, which JavaScript could only learn by waiting.

#include <torch/library.h>

#include <cmath>
#include <limits>
#include <tuple>

#include "core/common.h"

namespace torch_learner {
namespace {

using OptionalTensor = std::optional<at::Tensor>;

struct Weights {
  const OptionalTensor &packed, &query, &key, &value, &bias;
};

// Number `part` (0 query, 1 key, 2 value) of the three projections. The packed weight is (3 E, E), the bias (3 E).
at::Tensor project(const at::Tensor& x, const Weights& weights, int64_t part, int64_t size) {
  const OptionalTensor& own = part == 0 ? weights.query : part == 1 ? weights.key : weights.value;
  const at::Tensor weight = weights.packed ? weights.packed->narrow(0, part * size, size) : *own;
  TORCH_CHECK(weight.dim() == 2 && weight.size(0) == size, "Expected projections of shape [", size,
              ", features] for attention but received shape ", weight.sizes());
  TORCH_CHECK(x.size(-1) == weight.size(1), "Expected ",
              part == 0   ? "a query"
              : part == 1 ? "a key"
                          : "a value",
              " of ", weight.size(1), " features for attention but received shape ", x.sizes());
  return at::linear(x, weight,
                    weights.bias ? OptionalTensor(weights.bias->narrow(0, part * size, size)) : std::nullopt);
}

// (N, L, H D) as (N, H, L, D)
at::Tensor split_heads(const at::Tensor& x, int64_t heads) { return x.unflatten(-1, {heads, -1}).transpose(1, 2); }

// What is added to the scores: -inf where a boolean mask is true, a floating mask itself.
at::Tensor as_bias(const at::Tensor& mask, const char* name, const at::Tensor& like) {
  if (mask.scalar_type() == at::kBool) {
    return at::zeros(mask.sizes(), like.options()).masked_fill(mask, -std::numeric_limits<double>::infinity());
  }
  TORCH_CHECK(mask.is_floating_point(), "Expected a boolean or floating ", name, " for attention but received dtype ",
              mask.scalar_type());
  return mask.to(like.scalar_type());
}

void add_to(at::Tensor& sum, const at::Tensor& bias) { sum = sum.defined() ? sum + bias : bias; }

struct Masks {
  const OptionalTensor &key_padding, &attention;
  bool causal;
};

// The sum of the masks, to be broadcast to (N, H, L, S), or an undefined tensor.
at::Tensor mask_bias(const Masks& masks, const at::Tensor& query, const at::Tensor& key) {
  const int64_t n = query.size(0), heads = query.size(1), length = query.size(2), source = key.size(2);
  at::Tensor sum;
  if (masks.attention) {
    const at::Tensor& mask = *masks.attention;
    const bool flat = mask.dim() == 2, whole = mask.dim() == 3 && mask.size(0) == n * heads;
    TORCH_CHECK((flat || whole) && mask.size(-2) == length && mask.size(-1) == source, "Expected attnMask of shape [",
                length, ", ", source, "] or [", n * heads, ", ", length, ", ", source, "] but received shape ",
                mask.sizes());
    add_to(sum, as_bias(flat ? mask : mask.unflatten(0, {n, heads}), "attnMask", query));
  }
  if (masks.key_padding) {
    const at::Tensor& mask = *masks.key_padding;
    TORCH_CHECK(mask.numel() == n * source && mask.dim() <= 2 && mask.size(-1) == source,
                "Expected keyPaddingMask of shape [", n, ", ", source, "] but received shape ", mask.sizes());
    add_to(sum, as_bias(mask.reshape({n, 1, 1, source}), "keyPaddingMask", query));
  }
  if (masks.causal) {
    const auto bools = at::TensorOptions().dtype(at::kBool).device(query.device());
    add_to(sum, as_bias(at::ones({length, source}, bools).triu(1), "mask", query));
  }
  return sum;
}

// Attention over heads, and its weights (N, H, L, S) when they are wanted.
std::tuple<at::Tensor, at::Tensor> attend(const at::Tensor& query, const at::Tensor& key, const at::Tensor& value,
                                          const Masks& masks, double dropout, bool need_weights) {
  const at::Tensor bias = mask_bias(masks, query, key);
  if (!need_weights) {
    const OptionalTensor mask = bias.defined() ? OptionalTensor(bias) : std::nullopt;
    return {at::scaled_dot_product_attention(query, key, value, mask, dropout), at::Tensor()};
  }
  const double scale = 1.0 / std::sqrt(static_cast<double>(query.size(-1)));
  at::Tensor scores = (query * scale).matmul(key.transpose(-2, -1));
  if (bias.defined()) scores = scores + bias;
  at::Tensor weights = scores.softmax(-1);
  if (dropout > 0) weights = at::dropout(weights, dropout, true);
  return {weights.matmul(value), weights};
}

std::tuple<at::Tensor, at::Tensor> multi_head_attention(
    const at::Tensor& query, const at::Tensor& key, const at::Tensor& value, int64_t num_heads,
    const OptionalTensor& in_proj_weight, const OptionalTensor& q_proj_weight, const OptionalTensor& k_proj_weight,
    const OptionalTensor& v_proj_weight, const OptionalTensor& in_proj_bias, const at::Tensor& out_proj_weight,
    const OptionalTensor& out_proj_bias, const OptionalTensor& key_padding_mask, const OptionalTensor& attn_mask,
    bool is_causal, bool batch_first, bool need_weights, bool average_weights, double dropout) {
  const bool batched = query.dim() == 3;
  TORCH_CHECK((batched || query.dim() == 2) && key.dim() == query.dim() && value.dim() == query.dim(),
              "Expected query, key and value of three dimensions, or all of two, for attention but received shapes ",
              query.sizes(), ", ", key.sizes(), " and ", value.sizes());
  auto rows = [&](const at::Tensor& x) {  // (N, L, E)
    return batched ? (batch_first ? x : x.transpose(0, 1)) : x.unsqueeze(0);
  };
  const at::Tensor inputs[] = {rows(query), rows(key), rows(value)};
  TORCH_CHECK(inputs[1].size(0) == inputs[0].size(0) && inputs[2].size(0) == inputs[0].size(0) &&
                  inputs[1].size(1) == inputs[2].size(1),
              "Expected one batch size and, for key and value, one length for attention but received shapes ",
              query.sizes(), ", ", key.sizes(), " and ", value.sizes());
  TORCH_CHECK(in_proj_weight || (q_proj_weight && k_proj_weight && v_proj_weight),
              "Expected in_proj_weight or q_proj_weight, k_proj_weight and v_proj_weight for attention");
  TORCH_CHECK(out_proj_weight.dim() == 2,
              "Expected out_proj_weight of two dimensions for attention but received shape ", out_proj_weight.sizes());
  const int64_t size = out_proj_weight.size(1);
  TORCH_CHECK(num_heads > 0 && size % num_heads == 0, "Expected a divisor of ", size, " for num_heads but received ",
              num_heads);
  const Weights weights{in_proj_weight, q_proj_weight, k_proj_weight, v_proj_weight, in_proj_bias};
  at::Tensor heads[3];
  for (int64_t part = 0; part < 3; part++) {
    heads[part] = split_heads(project(inputs[part], weights, part, size), num_heads);
  }
  auto [mixed, shares] =
      attend(heads[0], heads[1], heads[2], {key_padding_mask, attn_mask, is_causal}, dropout, need_weights);
  at::Tensor output = at::linear(mixed.transpose(1, 2).flatten(2), out_proj_weight, out_proj_bias);
  if (!batched) {
    output = output.squeeze(0);
  } else if (!batch_first) {
    output = output.transpose(0, 1);
  }
  if (shares.defined() && average_weights) shares = shares.mean(1);
  if (shares.defined() && !batched) shares = shares.squeeze(0);
  return {output, shares};
}

constexpr const char* kArguments =
    "(Tensor query, Tensor key, Tensor value, int num_heads, Tensor? in_proj_weight, Tensor? q_proj_weight, Tensor? "
    "k_proj_weight, Tensor? v_proj_weight, Tensor? in_proj_bias, Tensor out_proj_weight, Tensor? out_proj_bias, "
    "Tensor? key_padding_mask, Tensor? attn_mask, bool is_causal, bool batch_first, bool need_weights, bool "
    "average_weights, float dropout) -> (Tensor, Tensor)";

}  // namespace

TORCH_LIBRARY_FRAGMENT(torch_learner, m) {
  // Two names for one function: only with dropout do host draws have to wait for it.
  m.def((std::string("multi_head_attention") + kArguments).c_str(), &multi_head_attention);
  m.def((std::string("multi_head_attention_dropout") + kArguments).c_str(), {at::Tag::nondeterministic_seeded});
  m.impl("multi_head_attention_dropout", c10::DispatchKey::CompositeImplicitAutograd, &multi_head_attention);
}

}  // namespace torch_learner
