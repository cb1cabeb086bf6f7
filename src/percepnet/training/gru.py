"""A GRU over time and its gradient on a processor, without a record of every step for autograd.

torch's own sums up the gradient of the recurrent weights in every frame. Here that gradient is one
product over all frames, and what a step backwards needs of the forward pass is prepared for all frames at once.
"""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor


def gru(
    x: Tensor, before: Tensor, weight_ih: Tensor, weight_hh: Tensor, bias_ih: Tensor, bias_hh: Tensor
) -> tuple[Tensor, Tensor]:
    """Calculate what torch.nn.GRU does, with products in the type of autocast and states in single precision.

    Parameters
    ----------
    x : Tensor [shape=(batch, frames, inputs)]
    before : Tensor [shape=(batch, units)]
        The state before the first frame.
    weight_ih, weight_hh, bias_ih, bias_hh : Tensor
        As in torch.nn.GRU: rows of the reset, the update and the new gate.

    Returns
    -------
    states : Tensor [shape=(batch, frames, units)]
    after : Tensor [shape=(batch, units)]
    """
    gates = torch.nn.functional.linear(x, weight_ih, bias_ih)
    with torch.autocast(x.device.type, enabled=False):
        given = gates.transpose(0, 1).to(before.dtype)
        states = cast(Tensor, _Gru.apply(given, before, weight_hh, bias_hh, gates.dtype))  # type: ignore[no-untyped-call]
    return states.transpose(0, 1), states[-1]


class _Gru(torch.autograd.Function):
    """In the comments r, z and n are the gates, and s what the state adds to the new gate: n = tanh(given + r s)."""

    @staticmethod
    def forward(ctx: Any, given: Tensor, before: Tensor, weight: Tensor, bias: Tensor, products: torch.dtype) -> Tensor:
        frames, batch, units = *given.shape[:2], before.shape[1]
        product = _product(weight, bias, batch, products)
        states, news = given.new_empty(2, frames, batch, units).unbind()
        resets = given.new_empty(frames, batch, 2 * units)  # r and z
        own = given.new_empty(frames, batch, 3 * units)  # of the state, for all gates
        state = before
        for t in range(frames):
            own[t] = product(state)
            open_gates = torch.add(given[t, :, : 2 * units], own[t, :, : 2 * units], out=resets[t]).sigmoid_()
            new = torch.addcmul(given[t, :, 2 * units :], open_gates[:, :units], own[t, :, 2 * units :], out=news[t])
            state = torch.lerp(new.tanh_(), state, open_gates[:, units:], out=states[t])
        added = own[..., 2 * units :]  # s
        ctx.save_for_backward(before, weight, states, resets, news, added)
        ctx.products = products
        return states

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        before, weight, states, resets, news, added = ctx.saved_tensors
        wanted = grads[0].contiguous()
        frames, batch, units = states.shape
        reset, update = resets[..., :units], resets[..., units:]
        earlier = torch.cat([before[None], states[:-1]])
        # what a gradient of the state is multiplied by on its way to each sum of a gate
        by_new = (1 - update) * (1 - news * news)
        by_reset = by_new * added * reset * (1 - reset)
        by_update = (earlier - news) * update * (1 - update)
        by_added = by_new * reset
        product = _product(weight.t(), None, batch, ctx.products)
        of_own = states.new_empty(frames, batch, 3 * units)
        of_states = torch.empty_like(states)
        grad = torch.zeros_like(before)
        for t in range(frames - 1, -1, -1):
            total = torch.add(wanted[t], grad, out=of_states[t])
            torch.mul(total, by_reset[t], out=of_own[t, :, :units])
            torch.mul(total, by_update[t], out=of_own[t, :, units : 2 * units])
            torch.mul(total, by_added[t], out=of_own[t, :, 2 * units :])
            grad = torch.addcmul(product(of_own[t]), total, update[t])
        of_given = torch.cat([of_own[..., : 2 * units], of_states * by_new], dim=-1)
        of_weight = of_bias = None
        if ctx.needs_input_grad[2]:
            rows = of_own.view(-1, 3 * units)
            of_weight = (rows.t().to(ctx.products) @ earlier.view(-1, units).to(ctx.products)).to(weight.dtype)
            of_bias = rows.sum(dim=0)
        return of_given, grad, of_weight, of_bias, None


def _product(weight: Tensor, bias: Tensor | None, rows: int, products: torch.dtype) -> Callable[[Tensor], Tensor]:
    """The product of rows with a matrix, which is converted, and packed where torch can, once for all frames."""
    matrix = weight.detach().to(products).contiguous()
    vector = None if bias is None else bias.detach().to(products)
    try:
        packed = pack(matrix, rows)
    except (AttributeError, RuntimeError):  # of a torch without oneDNN, or one that has no kernel for this type here
        return lambda x: torch.nn.functional.linear(x.to(products), matrix, vector)
    return lambda x: torch.ops.mkldnn._linear_pointwise(x.to(products), packed, vector, "none", [], "")


def pack(matrix: Tensor, rows: int) -> Tensor:
    """A matrix in the order that oneDNN reads it in, for products with so many rows; each reorders it otherwise."""
    return cast(Tensor, torch.ops.mkldnn._reorder_linear_weight(matrix, rows))
