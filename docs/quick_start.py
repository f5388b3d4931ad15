# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Quick start
#
# A classifier fitted, its derivatives checked, a penalty chosen, a small network trained. It takes a minute and needs
# `pip install '.[experiments]'`; the data are bundled with scikit-learn.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt

from jax_course import data, features, logistic, networks, ridge, verify
from jax_course.optimization import optimizers
from jax_course.train import train

jax.config.update("jax_enable_x64", True)  # float64; without this line JAX computes in float32

# %% [markdown]
# ## A fit
#
# 569 tumours with 30 measurements each, malignant or benign. The bias is a column of ones; `penalty` is the factor on
# θᵀθ.

# %%
table = data.table("breast_cancer")
(X, y), (X_test, y_test) = data.split(table.X, table.y)
standardized = data.standardize(X)  # the training statistics, for test data too
Phi, Phi_test = (features.with_bias(standardized(examples)) for examples in (X, X_test))
solution = logistic.fit(Phi, y, penalty=1.0)
solution

# %%
accuracy = (logistic.predict_class(solution.theta, Phi_test) == y_test).mean()
print(f"{accuracy:.1%} of {len(y_test)} test examples right")

# %% [markdown]
# A fit that cannot succeed says so. Without a penalty these classes can be separated, and no minimum exists; `.check()`
# would raise an error with this sentence.

# %%
logistic.fit(Phi, y)

# %% [markdown]
# ## Derivatives by hand
#
# `gradient` and `hessian` are formulas of the course, not autodiff. They are plain functions of the parameters, so
# `jit`, `grad` and `vmap` apply to them. Beside autodiff:

# %%
by_hand = logistic.hessian(solution.theta, Phi, y, penalty=1.0)
by_autodiff = jax.hessian(logistic.cost)(solution.theta, Phi, y, penalty=1.0)
print(f"largest difference {abs(by_hand - by_autodiff).max():.0e}, largest entry {abs(by_hand).max():.0f}")


# %% [markdown]
# ## The derivative doctor
#
# Now a gradient of your own. This one averages over the examples where the cost sums. The doctor says that it is wrong,
# where, and what kind of mistake it is.


# %%
def my_gradient(theta, X, y, *, penalty):
    return X.T @ (logistic.predict(theta, X) - y) / len(y) + 2 * penalty * theta


theta = jnp.linspace(-1, 1, Phi.shape[1])
verify.derivatives(logistic.cost, theta, Phi, y, gradient=my_gradient, penalty=1.0)


# %%
def mended(theta, X, y, *, penalty):
    return X.T @ (logistic.predict(theta, X) - y) + 2 * penalty * theta


verify.derivatives(logistic.cost, theta, Phi, y, gradient=mended, penalty=1.0)

# %% [markdown]
# ## Which penalty?
#
# Ridge regression for 41 penalties at once, on 442 patients with diabetes: the parameters, and the error of predicting
# each patient from all the others. A factor of 0 spares the bias.

# %%
patients = data.table("diabetes")
design = features.with_bias(data.standardize(patients.X)(patients.X))
penalties = jnp.logspace(-1, 3, 41)
factors = jnp.ones(design.shape[1]).at[0].set(0.0)
paths = ridge.path(design, patients.y, penalties, factors=factors)
errors = ridge.leave_one_out(design, patients.y, penalties, factors=factors)
best = penalties[errors.argmin()]

figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.5), layout="constrained")
left.plot(penalties, paths[:, 1:])
left.set(xscale="log", xlabel="penalty", ylabel="parameters", title="Ridge path")
right.plot(penalties, errors)
right.axvline(best, color="black", linestyle="--")
right.set(xscale="log", xlabel="penalty", ylabel="mean squared error", title=f"Leaving one out: best at {best:.3g}")
plt.show()

# %% [markdown]
# ## A small network
#
# Sixteen hidden units for three kinds of iris, with backpropagation by hand, trained by Adam on 16 examples at a time.

# %%
iris = data.table("iris")
(X, y), (X_test, y_test) = data.split(iris.X, iris.y)
scaled = data.standardize(X)
net = networks.mlp([16, 3], "tanh", networks.costs.cross_entropy())
start = net.init(jax.random.key(0), X.shape[1])
adam = optimizers.adam(0.01)
run = train(
    net.gradient, adam, start, scaled(X), y, key=jax.random.key(1), epochs=60, batch_size=16, cost=net.cost
).check()
right = net.predict(run.theta, scaled(X_test)).argmax(axis=1) == y_test
print(f"cost {run.history['cost'][0]:.1f} after one epoch, {run.history['cost'][-1]:.1f} after {run.epochs}")
print(f"{right.mean():.1%} of {len(y_test)} test examples right")

# %% [markdown]
# ## From here
#
# - The doctor in full: [doctor.md](doctor.md). More on [regression](regression.md), [solvers and
#   training](optimization.md), [networks](networks.md), [large data](scale.md).
# - Every formula of the course with its code, proof and figure: `python -m experiments` writes the lab book.
# - Twenty-nine derivatives to write yourself: `python -m jax_course.exercises list`.
