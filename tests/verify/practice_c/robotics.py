"""Robots and cameras: arms of links, poses on a graph, reprojection, a pendulum's control, point clouds."""

import jax
import jax.numpy as jnp
import numpy as np

from jax_course.verify import Kind
from tests.verify.practice import Practice

rng = np.random.default_rng(217)

# an arm of three links reaches for a point; a soft limit of the joints; joint angles add up
LINKS, GOAL = np.array([1.0, 0.8, 0.5]), np.array([1.1, 1.2])
JOINTS = np.array([0.4, 0.5, -0.7])


def arm_cost(q, goal):
    a = jnp.cumsum(q)
    hand = jnp.array([LINKS @ jnp.cos(a), LINKS @ jnp.sin(a)])
    return 0.5 * jnp.sum((hand - goal) ** 2) + 0.05 * jnp.sum(q**4)


def arm_gradient(q, goal, cumulate=True, limit=0.2):
    a = jnp.cumsum(q)
    e = jnp.array([LINKS @ jnp.cos(a), LINKS @ jnp.sin(a)]) - goal
    by_a = LINKS * (e[1] * jnp.cos(a) - e[0] * jnp.sin(a))
    return (jnp.cumsum(by_a[::-1])[::-1] if cumulate else by_a) + limit * q**3


def arm_upward(q, goal):
    """Each joint moves the links before it."""
    a = jnp.cumsum(q)
    e = jnp.array([LINKS @ jnp.cos(a), LINKS @ jnp.sin(a)]) - goal
    return jnp.cumsum(LINKS * (e[1] * jnp.cos(a) - e[0] * jnp.sin(a))) + 0.2 * q**3


def arm_hessian(q, goal, residual=1.0):
    a = jnp.cumsum(q)
    e = jnp.array([LINKS @ jnp.cos(a), LINKS @ jnp.sin(a)]) - goal
    lower = jnp.tril(jnp.ones((3, 3)))
    J = jnp.stack([-LINKS * jnp.sin(a), LINKS * jnp.cos(a)]) @ lower
    bend = -LINKS * (e[0] * jnp.cos(a) + e[1] * jnp.sin(a))
    return J.T @ J + residual * lower.T @ (bend[:, None] * lower) + jnp.diag(0.6 * q**2)


def arm_power(q, goal):
    """The power of the limit is not brought down."""
    return arm_gradient(q, goal, limit=0.05)


# poses (x, y, angle) on a graph; an edge has the second pose seen from the first
EDGES = np.array([[0, 1], [1, 2], [2, 3], [3, 0], [0, 2]])
SEEN = rng.standard_normal((5, 3)) * 0.5 + np.array([1.0, 0.2, 0.8])
POSES = {"place": rng.standard_normal((4, 2)), "angle": 0.6 * rng.standard_normal(4)}


def poses_cost(p, edges, seen):
    i, j = edges.T
    d = p["place"][j] - p["place"][i]
    c, s = jnp.cos(p["angle"][i]), jnp.sin(p["angle"][i])
    local = jnp.stack([c * d[:, 0] + s * d[:, 1], c * d[:, 1] - s * d[:, 0]], axis=1)
    turn = p["angle"][j] - p["angle"][i] - seen[:, 2]
    return jnp.sum((local - seen[:, :2]) ** 2) + 2.0 * jnp.sum(1 - jnp.cos(turn))


def poses_gradient(p, edges, seen, transpose=False, lever=1.0, add=True):
    place, angle = np.asarray(p["place"]), np.asarray(p["angle"])
    by_place, by_angle = np.zeros((4, 2)), np.zeros(4)
    for (i, j), z in zip(edges, seen, strict=True):
        c, s = np.cos(angle[i]), np.sin(angle[i])
        R, dR = np.array([[c, s], [-s, c]]), np.array([[-s, c], [-c, -s]])
        d = place[j] - place[i]
        e = 2 * (R @ d - z[:2])
        back = R @ e if transpose else R.T @ e
        twist = 2 * np.sin(angle[j] - angle[i] - z[2])
        by_place[j] = back + (by_place[j] if add else 0.0)
        by_place[i] = -back + (by_place[i] if add else 0.0)
        by_angle[i] += lever * e @ dR @ d - twist
        by_angle[j] += twist
    return {"place": by_place, "angle": by_angle}


# a camera: quaternion (scaled to length one in the cost), shift, log focal length; the image of points
POINTS = rng.uniform(-1, 1, (7, 3)) + np.array([0.0, 0.0, 4.0])
PIXELS = rng.uniform(-0.5, 0.5, (7, 2))
CAMERA = {"turn": np.array([1.1, 0.1, -0.2, 0.15]), "shift": np.array([0.1, -0.1, 0.3]), "log_focal": np.array(0.4)}


def camera_cost(p, points, pixels):
    w, v = p["turn"][0], p["turn"][1:]
    n = w**2 + v @ v
    crossed = jnp.cross(v, points)
    turned = points + 2 * (w * crossed + jnp.cross(v, crossed)) / n
    Y = turned + p["shift"]
    return 0.5 * jnp.sum((jnp.exp(p["log_focal"]) * Y[:, :2] / Y[:, 2:] - pixels) ** 2)


def camera_gradient(p, points, pixels, depth=1.0, unit=1.0):
    w, v = p["turn"][0], p["turn"][1:]
    n, f = w**2 + v @ v, jnp.exp(p["log_focal"])
    crossed = jnp.cross(v, points)
    moved = 2 * (w * crossed + jnp.cross(v, crossed)) / n
    Y = points + moved + p["shift"]
    e = f * Y[:, :2] / Y[:, 2:] - pixels
    by_Y = jnp.concatenate([f * e / Y[:, 2:], -depth * f * jnp.sum(e * Y[:, :2], 1, keepdims=True) / Y[:, 2:] ** 2], 1)
    by_w = 2 * jnp.sum(by_Y * crossed) / n
    by_v = 2 * jnp.sum(
        w * jnp.cross(points, by_Y) + jnp.cross(crossed, by_Y) + jnp.cross(points, jnp.cross(by_Y, v)), 0
    )
    scale = unit * jnp.sum(by_Y * moved) * 2 / n
    return {
        "turn": jnp.append(by_w, by_v / n) - scale * p["turn"],
        "shift": by_Y.sum(axis=0),
        "log_focal": f * jnp.sum(e * Y[:, :2] / Y[:, 2:]),
    }


# controls of a pendulum, semi-implicit steps, effort and the end; costates backward
STEP, CONTROL = 0.15, 0.4 * np.sin(np.arange(10.0))


def swing_cost(u, start):
    def step(state, push):
        angle, speed = state
        speed = speed + STEP * (push - jnp.sin(angle))
        return (angle + STEP * speed, speed), push**2

    (angle, speed), effort = jax.lax.scan(step, (start, 0.0), u)
    return (1 + jnp.cos(angle)) * 3 + speed**2 + 0.5 * STEP * jnp.sum(effort)


def swing_gradient(u, start, explicit=False, effort=1.0):
    angles, speed = [start], 0.0
    for push in u:
        speed = speed + STEP * (push - np.sin(angles[-1]))
        angles.append(angles[-1] + STEP * speed)
    by_angle, by_speed, g = -3 * np.sin(angles[-1]), 2 * speed, np.zeros(len(u))
    for t in reversed(range(len(u))):
        new = by_speed + STEP * by_angle
        used = by_speed if explicit else new
        g[t] = STEP * used + effort * STEP * u[t]
        by_angle = by_angle - STEP * np.cos(angles[t]) * used
        by_speed = new
    return g


def swing_product(u, start, v, bend=1.0):
    """Tangents forward, tangents of the costates backward."""
    angles, turns, speed, d_speed = [start], [0.0], 0.0, 0.0
    for push, dv in zip(u, v, strict=True):
        speed = speed + STEP * (push - np.sin(angles[-1]))
        d_speed = d_speed + STEP * (dv - np.cos(angles[-1]) * turns[-1])
        angles.append(angles[-1] + STEP * speed)
        turns.append(turns[-1] + STEP * d_speed)
    a, s = -3 * np.sin(angles[-1]), 2 * speed
    da, ds, H = -3 * np.cos(angles[-1]) * turns[-1], 2 * d_speed, np.zeros(len(u))
    for t in reversed(range(len(u))):
        s, ds = s + STEP * a, ds + STEP * da
        H[t] = STEP * ds + STEP * v[t]
        da = da - STEP * (np.cos(angles[t]) * ds - bend * np.sin(angles[t]) * turns[t] * s)
        a = a - STEP * np.cos(angles[t]) * s
    return H


# a cloud of points on another: nearest neighbours, a plane rotation and a shift; NumPy
CLOUD, OTHER = rng.standard_normal((6, 2)), rng.standard_normal((8, 2))


def cloud_cost(v, cloud, other):
    R = np.array([[np.cos(v[0]), -np.sin(v[0])], [np.sin(v[0]), np.cos(v[0])]])
    moved = cloud @ R.T + v[1:]
    return np.mean(np.min(np.sum((moved[:, None] - other) ** 2, axis=-1), axis=1))


def cloud_gradient(v, cloud, other, turned=True):
    c, s = np.cos(v[0]), np.sin(v[0])
    moved = cloud @ np.array([[c, s], [-s, c]]) + v[1:]
    e = 2 * (moved - other[np.argmin(np.sum((moved[:, None] - other) ** 2, axis=-1), axis=1)]) / len(cloud)
    arm = moved - v[1:] if turned else cloud
    return np.array([np.sum(e[:, 1] * arm[:, 0] - e[:, 0] * arm[:, 1]), *e.sum(axis=0)])


CASES = [
    arm := Practice("arm of three links", arm_cost, JOINTS, (GOAL,), gradient=arm_gradient, hessian=arm_hessian),
    arm._replace(
        name="arm of three links, joints move one link each",
        gradient=lambda q, goal: arm_gradient(q, goal, cumulate=False),
        hessian=None,
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    arm._replace(
        name="arm of three links, joints move the links before them",
        gradient=arm_upward,
        hessian=None,
        kinds=frozenset({Kind.TRANSPOSE, Kind.INDEX}),
    ),
    arm._replace(
        name="arm of three links, the limit's 4 forgotten",
        gradient=arm_power,
        hessian=None,
        kinds=frozenset({Kind.FACTOR, Kind.PENALTY}),
    ),
    arm._replace(
        name="arm of three links, Gauss-Newton",
        gradient=None,
        hessian=lambda q, goal: arm_hessian(q, goal, residual=0.0),
        kinds=frozenset({Kind.EXPECTED}),
    ),
    poses := Practice("poses on a graph, edge by edge", poses_cost, POSES, (EDGES, SEEN), gradient=poses_gradient),
    poses._replace(
        name="poses on a graph, errors not turned back",
        gradient=lambda p, edges, seen: poses_gradient(p, edges, seen, transpose=True),
        kinds=frozenset({Kind.TRANSPOSE}),
    ),
    poses._replace(
        name="poses on a graph, the rotation of the first pose held fixed",
        gradient=lambda p, edges, seen: poses_gradient(p, edges, seen, lever=0.0),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    poses._replace(
        name="poses on a graph, edges of a pose overwrite each other",
        gradient=lambda p, edges, seen: poses_gradient(p, edges, seen, add=False),
        kinds=frozenset({Kind.INDEX, Kind.MISSING}),
    ),
    poses._replace(
        name="poses on a graph, errors not turned back and edges overwritten",
        gradient=lambda p, edges, seen: poses_gradient(p, edges, seen, transpose=True, add=False),
        kinds=frozenset({Kind.TRANSPOSE, Kind.INDEX}),
        all_needed=True,
    ),
    camera := Practice("camera by a quaternion", camera_cost, CAMERA, (POINTS, PIXELS), gradient=camera_gradient),
    camera._replace(
        name="camera, the depth below the line held fixed",
        gradient=lambda p, points, pixels: camera_gradient(p, points, pixels, depth=0.0),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    camera._replace(
        name="camera, the quaternion's length held fixed",
        gradient=lambda p, points, pixels: camera_gradient(p, points, pixels, unit=0.0),
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE}),
    ),
    swing := Practice(
        "pendulum's controls, costates and products",
        swing_cost,
        CONTROL,
        (1.2,),
        gradient=swing_gradient,
        hessian_product=swing_product,
    ),
    swing._replace(
        name="pendulum's controls, costates of explicit steps",
        gradient=lambda u, start: swing_gradient(u, start, explicit=True),
        hessian_product=None,
        kinds=frozenset({Kind.MISSING, Kind.CHAIN_RULE, Kind.INDEX}),
    ),
    swing._replace(
        name="pendulum's controls, the effort not times the step",
        gradient=lambda u, start: swing_gradient(u, start, effort=1 / STEP),
        hessian_product=None,
        kinds=frozenset({Kind.FACTOR, Kind.PENALTY}),
    ),
    swing._replace(
        name="pendulum's controls, the sine's second derivative left out",
        gradient=None,
        hessian_product=lambda u, start, v: swing_product(u, start, v, bend=0.0),
        kinds=frozenset({Kind.EXPECTED, Kind.MISSING}),
    ),
    cloud := Practice(
        "clouds by nearest neighbours, NumPy",
        cloud_cost,
        np.array([0.3, 0.1, -0.2]),
        (CLOUD, OTHER),
        gradient=cloud_gradient,
    ),
    cloud._replace(
        name="clouds by nearest neighbours, the angle's part with points not turned",
        gradient=lambda v, cloud, other: cloud_gradient(v, cloud, other, turned=False),
        kinds=frozenset({Kind.CHAIN_RULE, Kind.INDEX}),
    ),
]
