"""Convolutions: one and two dimensions, stride, dilation, pooling, Fourier; smoothness of images."""

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from jax_course.verify import Kind
from tests.verify.practice import Practice

_rng = np.random.default_rng(71)
signal = _rng.standard_normal(16)
wanted = _rng.standard_normal(14)


# One channel, numpy.convolve, no padding


def filtered(w, x, y):
    return jnp.sum((jnp.convolve(x, w, mode="valid") - y) ** 2)


def filtered_gradient(w, x, y):
    r = jnp.convolve(x, w, mode="valid") - y
    return 2 * jnp.convolve(x[::-1], r, mode="valid")


def filtered_gradient_not_flipped(w, x, y):
    r = jnp.convolve(x, w, mode="valid") - y
    return 2 * jnp.correlate(x, r, mode="valid")


def filtered_gradient_of_correlation(w, x, y):
    """The whole as if convolve did not flip the kernel."""
    r = jnp.correlate(x, w, mode="valid") - y
    return 2 * jnp.correlate(x, r, mode="valid")


def filtered_gradient_loop(w, x, y):
    w, x, y = (np.asarray(a) for a in (w, x, y))
    r = np.convolve(x, w, mode="valid") - y
    g = np.zeros(len(w))
    for i in range(len(r)):
        for k in range(len(w)):
            g[k] += 2 * r[i] * x[i + len(w) - 1 - k]
    return g


# A dilated causal filter over channels, bias, ReLU; a linear read-out (WaveNet's kind)


sequence = _rng.standard_normal((3, 18))
goal = _rng.standard_normal(18)


def causal(params, x, y, dilation):
    K = params["kernel"]  # (out, in, taps)
    padded = jnp.pad(x, ((0, 0), ((K.shape[2] - 1) * dilation, 0)))
    z = params["bias"][:, None]
    for k in range(K.shape[2]):
        z = z + K[:, :, k] @ padded[:, k * dilation : k * dilation + x.shape[1]]
    return 0.5 * jnp.mean((params["read"] @ jax.nn.relu(z) - y) ** 2)


def causal_gradient(params, x, y, dilation, mask=True, shift=None, bias_positions=True):
    K, n = params["kernel"], x.shape[1]
    taps = K.shape[2]
    padded = jnp.pad(x, ((0, 0), ((taps - 1) * dilation, 0)))
    windows = jnp.stack([padded[:, k * dilation : k * dilation + n] for k in range(taps)])
    z = jnp.einsum("oik,kin->on", K, windows) + params["bias"][:, None]
    h = jnp.maximum(z, 0)
    r = (params["read"] @ h - y) / n
    delta = params["read"][:, None] * r * ((z > 0) if mask else 1.0)
    if shift is not None:
        windows = jnp.stack([padded[:, k * shift : k * shift + n] for k in range(taps)])
    return {"kernel": jnp.einsum("on,kin->oik", delta, windows), "bias": delta.sum(axis=1), "read": h @ r}


def causal_gradient_no_mask(params, x, y, dilation):
    return causal_gradient(params, x, y, dilation, mask=False)


def causal_gradient_dilation_forgotten(params, x, y, dilation):
    return causal_gradient(params, x, y, dilation, shift=1)


def causal_gradient_taps_reversed(params, x, y, dilation):
    g = causal_gradient(params, x, y, dilation)
    return {**g, "kernel": g["kernel"][:, :, ::-1]}


def causal_gradient_channels(params, x, y, dilation):
    g = causal_gradient(params, x, y, dilation)
    return {**g, "kernel": jnp.swapaxes(g["kernel"], 0, 1)}


def causal_gradient_bias_mean(params, x, y, dilation):
    g = causal_gradient(params, x, y, dilation)
    return {**g, "bias": g["bias"] / x.shape[1]}


# Two dimensions by XLA's convolution, stride 2, float32 images in the closure


images = _rng.standard_normal((4, 2, 7, 7)).astype(np.float32)
classes = np.array([0, 2, 1, 2])


def strided(params):
    z = lax.conv_general_dilated(jnp.asarray(images, params["K"].dtype), params["K"], (2, 2), "VALID")
    h = jnp.tanh(z + params["b"][:, None, None]).mean(axis=(2, 3))
    logits = h @ params["W"]
    return -jnp.sum(jax.nn.log_softmax(logits)[jnp.arange(4), classes])


def strided_gradient(params, tanh=True, pooled=9, axes="nohw,nihwab->oiab"):
    K, b, W = params["K"], params["b"], params["W"]
    patches = jnp.stack([images[:, :, a : a + 5 : 2, c : c + 5 : 2] for a in range(3) for c in range(3)], axis=-1)
    patches = patches.reshape(4, 2, 3, 3, 3, 3)
    h = jnp.tanh(jnp.einsum("nihwab,oiab->nohw", patches, K) + b[:, None, None])
    features = h.mean(axis=(2, 3))
    delta = jax.nn.softmax(features @ W) - jax.nn.one_hot(classes, 3)
    dz = (delta @ W.T)[:, :, None, None] / pooled * ((1 - h**2) if tanh else jnp.ones_like(h))
    return {"K": jnp.einsum(axes, dz, patches), "b": dz.sum(axis=(0, 2, 3)), "W": features.T @ delta}


def strided_gradient_no_tanh(params):
    return strided_gradient(params, tanh=False)


def strided_gradient_pool_sum(params):
    return strided_gradient(params, pooled=1)


def strided_gradient_axes(params):
    """Height and width of the kernel exchanged."""
    return strided_gradient(params, axes="nohw,nihwab->oiba")


def strided_gradient_rotated(params):
    g = strided_gradient(params)
    return {**g, "K": g["K"][:, :, ::-1, ::-1]}


def strided_gradient_bias_shape(params):
    """The bias with an axis for each of batch, height and width, as it broadcasts."""
    g = strided_gradient(params)
    return {**g, "b": g["b"][None, :, None, None]}


def strided_gradient_one_image(params):
    """The batch is taken from the first image's loop variable: only the last image counts."""
    K, b, W = params["K"], params["b"], params["W"]
    g = None
    for image, label in zip(images, classes, strict=True):
        patches = np.stack([image[:, a : a + 5 : 2, c : c + 5 : 2] for a in range(3) for c in range(3)], axis=-1)
        patches = patches.reshape(2, 3, 3, 3, 3)
        h = jnp.tanh(jnp.einsum("ihwab,oiab->ohw", patches, K) + b[:, None, None])
        delta = jax.nn.softmax(h.mean(axis=(1, 2)) @ W) - jax.nn.one_hot(label, 3)
        dz = (W @ delta)[:, None, None] / 9 * (1 - h**2)
        dK, db = jnp.einsum("ohw,ihwab->oiab", dz, patches), dz.sum(axis=(1, 2))
        g = {"K": dK, "b": db, "W": jnp.outer(h.mean(axis=(1, 2)), delta)}
    return g


# The same in float32 as it is: XLA's convolution takes no float64 kernel against float32 images


def strided_single(params):
    z = lax.conv_general_dilated(jnp.asarray(images), params["K"], (2, 2), "VALID")
    h = jnp.tanh(z + params["b"][:, None, None]).mean(axis=(2, 3))
    return -jnp.sum(jax.nn.log_softmax(h @ params["W"])[jnp.arange(4), classes])


# Zero padding and max pooling in NumPy, by the input


kernel = _rng.standard_normal((3, 3))
probe = _rng.standard_normal((3, 3))
picture = _rng.standard_normal((6, 6))


def pooled(x, kernel, probe):
    padded = np.pad(x, 1)
    z = np.zeros((6, 6))
    for i in range(6):
        for j in range(6):
            z[i, j] = np.sum(padded[i : i + 3, j : j + 3] * kernel)
    return np.sum(z.reshape(3, 2, 3, 2).max(axis=(1, 3)) * probe)


def pooled_gradient(x, kernel, probe):
    padded = np.pad(x, 1)
    z = np.array([[np.sum(padded[i : i + 3, j : j + 3] * kernel) for j in range(6)] for i in range(6)])
    top = z.reshape(3, 2, 3, 2).max(axis=(1, 3)).repeat(2, axis=0).repeat(2, axis=1)
    dz = (z == top) * probe.repeat(2, axis=0).repeat(2, axis=1)
    g = np.zeros((8, 8))
    for i in range(6):
        for j in range(6):
            g[i : i + 3, j : j + 3] += dz[i, j] * kernel
    return g[1:-1, 1:-1]


def pooled_gradient_to_all(x, kernel, probe):
    """The mask of the maximum is forgotten."""
    dz = probe.repeat(2, axis=0).repeat(2, axis=1)
    g = np.zeros((8, 8))
    for i in range(6):
        for j in range(6):
            g[i : i + 3, j : j + 3] += dz[i, j] * kernel
    return g[1:-1, 1:-1]


def pooled_gradient_overwritten(x, kernel, probe):
    padded = np.pad(x, 1)
    z = np.array([[np.sum(padded[i : i + 3, j : j + 3] * kernel) for j in range(6)] for i in range(6)])
    top = z.reshape(3, 2, 3, 2).max(axis=(1, 3)).repeat(2, axis=0).repeat(2, axis=1)
    dz = (z == top) * probe.repeat(2, axis=0).repeat(2, axis=1)
    g = np.zeros((8, 8))
    for i in range(6):
        for j in range(6):
            g[i : i + 3, j : j + 3] = dz[i, j] * kernel
    return g[1:-1, 1:-1]


def pooled_gradient_padded(x, kernel, probe):
    """The corner of the padding is cut off on one side only."""
    padded = np.pad(x, 1)
    z = np.array([[np.sum(padded[i : i + 3, j : j + 3] * kernel) for j in range(6)] for i in range(6)])
    top = z.reshape(3, 2, 3, 2).max(axis=(1, 3)).repeat(2, axis=0).repeat(2, axis=1)
    dz = (z == top) * probe.repeat(2, axis=0).repeat(2, axis=1)
    g = np.zeros((8, 8))
    for i in range(6):
        for j in range(6):
            g[i : i + 3, j : j + 3] += dz[i, j] * kernel
    return g[:-2, :-2]


# Deconvolution of an image by FFT, smoothness of neighbouring pixels, by the image


blur = np.fft.rfft2(np.exp(-0.7 * np.add.outer(np.arange(6) ** 2, np.arange(6))) * (1 + np.arange(6)))
seen = _rng.standard_normal((6, 6))


def deblur(image, seen, smoothness):
    r = jnp.fft.irfft2(blur * jnp.fft.rfft2(image), s=(6, 6)) - seen
    down, right = jnp.diff(image, axis=0), jnp.diff(image, axis=1)
    return 0.5 * jnp.sum(r**2) + 0.5 * smoothness * (jnp.sum(down**2) + jnp.sum(right**2))


def deblur_gradient(image, seen, smoothness):
    r = jnp.fft.irfft2(blur * jnp.fft.rfft2(image), s=(6, 6)) - seen
    g = jnp.fft.irfft2(jnp.conj(blur) * jnp.fft.rfft2(r), s=(6, 6))
    down, right = jnp.diff(image, axis=0), jnp.diff(image, axis=1)
    smooth = jnp.zeros((6, 6)).at[1:].add(down).at[:-1].add(-down).at[:, 1:].add(right).at[:, :-1].add(-right)
    return g + smoothness * smooth


def deblur_gradient_no_conjugate(image, seen, smoothness):
    r = jnp.fft.irfft2(blur * jnp.fft.rfft2(image), s=(6, 6)) - seen
    g = jnp.fft.irfft2(blur * jnp.fft.rfft2(r), s=(6, 6))
    down, right = jnp.diff(image, axis=0), jnp.diff(image, axis=1)
    smooth = jnp.zeros((6, 6)).at[1:].add(down).at[:-1].add(-down).at[:, 1:].add(right).at[:, :-1].add(-right)
    return g + smoothness * smooth


def deblur_gradient_complex(image, seen, smoothness):
    """By fft2 and ifft2, the real part not taken."""
    transfer = jnp.fft.fft2(jnp.fft.irfft2(blur, s=(6, 6)))
    r = jnp.fft.ifft2(transfer * jnp.fft.fft2(image)) - seen
    g = jnp.fft.ifft2(jnp.conj(transfer) * jnp.fft.fft2(r))
    down, right = jnp.diff(image, axis=0), jnp.diff(image, axis=1)
    smooth = jnp.zeros((6, 6)).at[1:].add(down).at[:-1].add(-down).at[:, 1:].add(right).at[:, :-1].add(-right)
    return g + smoothness * smooth


def deblur_gradient_one_neighbour(image, seen, smoothness):
    r = jnp.fft.irfft2(blur * jnp.fft.rfft2(image), s=(6, 6)) - seen
    g = jnp.fft.irfft2(jnp.conj(blur) * jnp.fft.rfft2(r), s=(6, 6))
    down, right = jnp.diff(image, axis=0), jnp.diff(image, axis=1)
    return g + smoothness * jnp.zeros((6, 6)).at[1:].add(down).at[:, 1:].add(right)


def deblur_gradient_periodic(image, seen, smoothness):
    """The Laplacian by roll: the border has neighbours across the image."""
    r = jnp.fft.irfft2(blur * jnp.fft.rfft2(image), s=(6, 6)) - seen
    g = jnp.fft.irfft2(jnp.conj(blur) * jnp.fft.rfft2(r), s=(6, 6))
    around = sum(jnp.roll(image, s, axis) for s in (1, -1) for axis in (0, 1))
    return g + smoothness * (4 * image - around)


def deblur_product(image, seen, smoothness, v):
    g = jnp.fft.irfft2(jnp.abs(blur) ** 2 * jnp.fft.rfft2(v), s=(6, 6))
    down, right = jnp.diff(v, axis=0), jnp.diff(v, axis=1)
    smooth = jnp.zeros((6, 6)).at[1:].add(down).at[:-1].add(-down).at[:, 1:].add(right).at[:, :-1].add(-right)
    return g + smoothness * smooth


def deblur_product_no_smoothness(image, seen, smoothness, v):
    return jnp.fft.irfft2(jnp.abs(blur) ** 2 * jnp.fft.rfft2(v), s=(6, 6))


# Depthwise filters, products in bfloat16 as on an accelerator; total variation with a rounded corner


def depthwise(W, x, y):
    windows = jnp.stack([x[:, k : k + 16] for k in range(3)], axis=-1)
    z = jnp.einsum("cnk,ck->cn", windows.astype(jnp.bfloat16), W.astype(jnp.bfloat16))
    return jnp.sum((z.astype(W.dtype) - y) ** 2)


def depthwise_single(W, x, y):
    windows = jnp.stack([x[:, k : k + 16] for k in range(3)], axis=-1)
    z = jnp.einsum("cnk,ck->cn", windows.astype(jnp.float32), W.astype(jnp.float32))
    return jnp.sum((z.astype(W.dtype) - y) ** 2)


def depthwise_single_gradient(W, x, y):
    windows = jnp.stack([x[:, k : k + 16] for k in range(3)], axis=-1)
    return 2 * jnp.einsum("cn,cnk->ck", jnp.einsum("cnk,ck->cn", windows, W) - y, windows)


def depthwise_mixed_channels(W, x, y):
    """As if each filter saw the sum of the channels."""
    windows = jnp.stack([x[:, k : k + 16] for k in range(3)], axis=-1)
    return 2 * jnp.einsum("cn,dnk->ck", jnp.einsum("cnk,ck->cn", windows, W) - y, windows)


def variation(u, data):
    return 0.5 * jnp.sum((u - data) ** 2) + 0.8 * jnp.sum(jnp.sqrt(jnp.diff(u) ** 2 + 1e-4))


def variation_gradient(u, data):
    t = jnp.diff(u) / jnp.sqrt(jnp.diff(u) ** 2 + 1e-4)
    return u - data + 0.8 * (jnp.append(0.0, t) - jnp.append(t, 0.0))


def variation_gradient_squares(u, data):
    t = 2 * jnp.diff(u)
    return u - data + 0.8 * (jnp.append(0.0, t) - jnp.append(t, 0.0))


def variation_gradient_shifted(u, data):
    t = jnp.diff(u) / jnp.sqrt(jnp.diff(u) ** 2 + 1e-4)
    return u - data + 0.8 * (jnp.append(t, 0.0) - jnp.append(0.0, t))


def variation_gradient_interior(u, data):
    """Only the interior points; the two ends keep the data's part."""
    t = jnp.diff(u) / jnp.sqrt(jnp.diff(u) ** 2 + 1e-4)
    return jnp.asarray(u - data).at[1:-1].add(0.8 * (t[:-1] - t[1:]))


w = np.array([0.5, -0.8, 0.3])
net = {
    "kernel": _rng.standard_normal((3, 3, 2)),
    "bias": np.array([0.2, -0.1, 0.3]),
    "read": np.array([0.9, -0.6, 0.7]),
}
cnn = {
    "K": 0.4 * _rng.standard_normal((3, 2, 3, 3)),
    "b": np.array([0.1, -0.2, 0.3]),
    "W": _rng.standard_normal((3, 3)),
}
cnn_single = {name: leaf.astype(np.float32) for name, leaf in cnn.items()}
past = (sequence, goal, 3)
strips = _rng.standard_normal((3, 3))
lines = _rng.standard_normal((3, 16))
levels = signal + 0.2

CASES = [
    Practice("one filter by convolve", filtered, w, (signal, wanted), gradient=filtered_gradient),
    Practice("one filter by convolve, two loops", filtered, w, (signal, wanted), gradient=filtered_gradient_loop),
    Practice(
        "one filter by convolve: the gradient not flipped",
        *(filtered, w, (signal, wanted)),
        gradient=filtered_gradient_not_flipped,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice(
        "one filter by convolve: all by correlation",
        *(filtered, w, (signal, wanted)),
        gradient=filtered_gradient_of_correlation,
        kinds=frozenset({Kind.INDEX, Kind.UNKNOWN}),
    ),
    Practice("causal filters, dilation 3", causal, net, past, gradient=causal_gradient),
    Practice(
        "causal filters: the mask of ReLU forgotten",
        *(causal, net, past),
        gradient=causal_gradient_no_mask,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "causal filters: the dilation forgotten in the gradient",
        *(causal, net, past),
        gradient=causal_gradient_dilation_forgotten,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice(
        "causal filters: the taps reversed",
        *(causal, net, past),
        gradient=causal_gradient_taps_reversed,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice(
        "causal filters: channels in and out exchanged",
        *(causal, net, past),
        gradient=causal_gradient_channels,
        kinds=frozenset({Kind.TRANSPOSE, Kind.INDEX}),
    ),
    Practice(
        "causal filters: the bias averaged over positions",
        *(causal, net, past),
        gradient=causal_gradient_bias_mean,
        kinds=frozenset({Kind.FACTOR, Kind.BIAS}),
    ),
    Practice("images, stride 2, mean pooling, softmax", strided, cnn, gradient=strided_gradient),
    Practice(
        "images, stride 2: the derivative of tanh forgotten",
        *(strided, cnn),
        gradient=strided_gradient_no_tanh,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "images, stride 2: mean pooling taken for a sum",
        *(strided, cnn),
        gradient=strided_gradient_pool_sum,
        kinds=frozenset({Kind.FACTOR}),
    ),
    Practice(
        "images, stride 2: height and width of the kernel exchanged",
        *(strided, cnn),
        gradient=strided_gradient_axes,
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    Practice(
        "images, stride 2: the kernel rotated by 180 degrees",
        *(strided, cnn),
        gradient=strided_gradient_rotated,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice(
        "images, stride 2: the bias in four axes",
        *(strided, cnn),
        gradient=strided_gradient_bias_shape,
        kinds=frozenset({Kind.SHAPE}),
    ),
    Practice(
        "images, stride 2: only the last image",
        *(strided, cnn),
        gradient=strided_gradient_one_image,
        kinds=frozenset({Kind.MISSING}),
    ),
    Practice("images, stride 2, all in float32", strided_single, cnn_single, gradient=strided_gradient),
    Practice(
        "images, stride 2, all in float32: the kernel rotated by 180 degrees",
        *(strided_single, cnn_single),
        gradient=strided_gradient_rotated,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice("max pooling by the image, NumPy", pooled, picture, (kernel, probe), gradient=pooled_gradient),
    Practice(
        "max pooling by the image: the mask of the maximum forgotten",
        *(pooled, picture, (kernel, probe)),
        gradient=pooled_gradient_to_all,
        kinds=frozenset({Kind.CHAIN_RULE}),
    ),
    Practice(
        "max pooling by the image: overlapping windows overwrite each other",
        *(pooled, picture, (kernel, probe)),
        gradient=pooled_gradient_overwritten,
        kinds=frozenset({Kind.INDEX, Kind.MISSING}),
    ),
    Practice(
        "max pooling by the image: the padding cut off on one side",
        *(pooled, picture, (kernel, probe)),
        gradient=pooled_gradient_padded,
        kinds=frozenset({Kind.INDEX}),
    ),
    Practice("deblurring by FFT", deblur, picture, (seen, 0.6), gradient=deblur_gradient),
    Practice("deblurring by FFT, product of the Hessian", deblur, picture, (seen, 0.6), hessian_product=deblur_product),
    Practice(
        "deblurring by FFT: the transfer not conjugated",
        *(deblur, picture, (seen, 0.6)),
        gradient=deblur_gradient_no_conjugate,
        kinds=frozenset({Kind.TRANSPOSE, Kind.INDEX}),
    ),
    Practice(
        "deblurring by FFT: the gradient is complex",
        *(deblur, picture, (seen, 0.6)),
        gradient=deblur_gradient_complex,
        kinds=frozenset({Kind.DTYPE}),
    ),
    Practice(
        "deblurring by FFT: one neighbour of each difference forgotten",
        *(deblur, picture, (seen, 0.6)),
        gradient=deblur_gradient_one_neighbour,
        kinds=frozenset({Kind.MISSING, Kind.PENALTY}),
    ),
    Practice(
        "deblurring by FFT: the border has neighbours across the image",
        *(deblur, picture, (seen, 0.6)),
        gradient=deblur_gradient_periodic,
        kinds=frozenset({Kind.PENALTY, Kind.ENTRY}),
    ),
    Practice(
        "deblurring by FFT, product of the Hessian: without the smoothness",
        *(deblur, picture, (seen, 0.6)),
        hessian_product=deblur_product_no_smoothness,
        kinds=frozenset({Kind.MISSING, Kind.PENALTY}),
    ),
    Practice(
        "depthwise filters, products in float32",
        *(depthwise_single, strips, (sequence, lines)),
        gradient=depthwise_single_gradient,
    ),
    Practice(
        "depthwise filters, products in bfloat16",
        *(depthwise, strips, (sequence, lines)),
        gradient=depthwise_single_gradient,
    ),
    Practice(
        "depthwise filters, products in float32: the channels mixed",
        *(depthwise_single, strips, (sequence, lines)),
        gradient=depthwise_mixed_channels,
        kinds=frozenset({Kind.UNKNOWN, Kind.INDEX}),
    ),
    Practice("total variation, rounded", variation, levels, (signal,), gradient=variation_gradient),
    Practice(
        "total variation: of the squares",
        *(variation, levels, (signal,)),
        gradient=variation_gradient_squares,
        kinds=frozenset({Kind.PENALTY, Kind.CHAIN_RULE}),
    ),
    Practice(
        "total variation: the sign of the differences",
        *(variation, levels, (signal,)),
        gradient=variation_gradient_shifted,
        kinds=frozenset({Kind.SIGN}),
    ),
    Practice(
        "total variation: the two ends forgotten",
        *(variation, levels, (signal,)),
        gradient=variation_gradient_interior,
        kinds=frozenset({Kind.ENTRY, Kind.MISSING}),
    ),
]
