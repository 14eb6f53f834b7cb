"""Lie groups of pypose, composed so that what they differentiate is a function of vectors.

Their gradient by a group element is the one by a left perturbation, in a tensor of the element's
shape: it means something only behind the exponential that made the element.
"""

from pypose.lietensor import operation as lie


def rotate(w, p):
    return lie.SO3_Act.apply(lie.so3_Exp.apply(w), p)


def rotate_homogeneous(w, p):
    return lie.SO3_Act4.apply(lie.so3_Exp.apply(w), p)


def rotate_back(w, p):
    return lie.SO3_Act.apply(lie.SO3_Inv.apply(lie.so3_Exp.apply(w)), p)


def rotate_twice(w, p):
    turn = lie.so3_Exp.apply(w)
    return lie.SO3_Act.apply(lie.SO3_Mul.apply(turn, turn), p)


def log_of_exp(w):
    return lie.SO3_Log.apply(lie.so3_Exp.apply(w))


def adjoint(w, a):
    return lie.SO3_AdjXa.apply(lie.so3_Exp.apply(w), a)


def adjoint_transposed(w, a):
    return lie.SO3_AdjTXa.apply(lie.so3_Exp.apply(w), a)


def move(xi, p):
    return lie.SE3_Act.apply(lie.se3_Exp.apply(xi), p)


def log_of_motion(xi):
    return lie.SE3_Log.apply(lie.se3_Exp.apply(xi))


def scale_and_rotate(xi, p):
    return lie.RxSO3_Act.apply(lie.rxso3_Exp.apply(xi), p)


def log_of_scaled(xi):
    return lie.RxSO3_Log.apply(lie.rxso3_Exp.apply(xi))
