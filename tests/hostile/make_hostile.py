#!/usr/bin/env python3
"""Writes hostile and damaged model files, the same ones every time: make_hostile.py FOLDER

expected.txt lists each with what is to come of it: "refused", "loads", "raises" (it loads, but
running it is an error, on fast paths too), or "either", which also leaves open what running it gives.
Needs nothing but Python.
"""

import os
import random
import struct
import sys
import zlib

from archives import (MODEL, instance, member, members, module_pickle, name, number, pack, pickle,
                      program, storage, tensor, tensor_arguments, text, tuple_of)

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "fixtures")


def module(body, attributes="", returns="Tensor"):
    """The code of a model with this body of `forward` and these attributes."""
    head = MODEL[:MODEL.index("  def forward")]
    lines = "".join(f"    {line}\n" for line in body.split("\n"))
    return (head + "".join(f"  {line}\n" for line in attributes.split("\n") if line) +
            f"  def forward(self: __torch__.M, x: Tensor) -> {returns}:\n" + lines)


def submodule(class_name, attributes=""):
    return (f"class {class_name}(Module):\n  __parameters__ = []\n  __buffers__ = []\n" +
            "".join(f"  {line}\n" for line in attributes.split("\n") if line) +
            f"  def forward(self: __torch__.{class_name}, x: Tensor) -> Tensor:\n    return x\n")


# ---- zip archives ----


def zips():
    plain = members()
    data = plain[0]["data"]

    def first(**changes):
        return pack([{**plain[0], **changes}] + plain[1:])

    yield "refused", "zip_size_too_large", first(central={"size": len(data) + 100})
    yield "refused", "zip_size_too_small", first(central={"size": len(data) - 1})
    yield "refused", "zip_size_4g", first(central={"size": 0xfffffffe, "compressed": 0xfffffffe})
    yield "refused", "zip_expands", first(central={"size": 0xfffffffe, "method": 8})
    yield "either", "zip_local_size_differs", first(local={"size": 1, "compressed": 1})
    yield "refused", "zip_stored_longer", pack(
        plain[:-1] + [{**plain[-1], "central": {"size": 256}}])
    yield "refused", "zip_wrong_checksum", first(central={"crc": 1})
    yield "refused", "zip_encrypted", first(central={"flags": 1}, local={"flags": 1})
    yield "refused", "zip_unknown_method", first(central={"method": 99}, local={"method": 99})
    yield "refused", "zip_not_deflated", first(central={"method": 8}, local={"method": 8})
    yield "refused", "zip_offset_beyond", first(central={"offset": 0xfffffff0})
    yield "refused", "zip_offset_of_directory", first(central={"offset": 2000})
    zip64 = struct.pack("<HHQQ", 1, 16, 1 << 60, 1 << 60)
    far = struct.pack("<HHQQQ", 1, 24, 2, 2, 1 << 40)
    full = 0xffffffff
    yield "refused", "zip64_far", pack(plain[:-1] + [{**plain[-1], "central": {
        "size": full, "compressed": full, "offset": full, "extra": far}}])
    yield "refused", "zip64_huge", first(
        central={"size": full, "compressed": full, "extra": zip64})
    yield "refused", "zip64_cut", first(
        central={"size": full, "compressed": full, "extra": zip64[:8]})
    yield "either", "zip64_true", first(
        central={"size": full, "compressed": full,
                 "extra": struct.pack("<HHQQ", 1, 16, len(data), len(data))})
    yield "refused", "zip_duplicate", pack(plain + [plain[0]])
    yield "refused", "zip_more_counted", pack(plain, end={"count": 60000, "here": 60000})
    yield "refused", "zip_fewer_counted", pack(plain, end={"count": 1, "here": 1})
    yield "refused", "zip_directory_elsewhere", pack(plain, end={"offset": 10})
    yield "refused", "zip_directory_huge", pack(plain, end={"size": 0xfffffff0})
    yield "refused", "zip_second_disk", pack(plain, end={"disk": 1})
    yield "refused", "zip_comment", pack(plain, comment=b"PK")
    yield "refused", "zip_before", pack(plain, before=b"MZ" * 50)
    yield "refused", "zip_nested", pack([member("m/data.pkl", program())] + plain[1:])
    yield "refused", "zip_empty", pack([])
    yield "either", "zip_folder", pack(plain + [member("m/code/", b"")])
    for path in ("/m/x", "../x", "", "m/../../x", "m\0x", "M/data.pkl", "m/" + "d" * 60000):
        yield "either", f"zip_path_{zlib.crc32(path.encode()):08x}", pack(plain + [member(path, b"x")])
    yield "either", "zip_version", pack([entry for entry in plain if "version" not in entry["name"]]
                                        + [member("m/version", b"9" * 400)])
    yield "refused", "zip_no_constants", pack([entry for entry in plain
                                               if "constants" not in entry["name"]])
    yield "either", "zip_many", pack(plain + [member(f"m/data/{i}", b"") for i in range(3000)])


# ---- pickles ----


def shared(levels):
    """A list of two that are the same list of two, and so on."""
    made = b"]r" + struct.pack("<I", 10)
    for i in range(levels):
        made = b"](" + made + b"j" + struct.pack("<I", 10 + i) + b"er" + struct.pack("<I", 11 + i)
    return made


def grown_later(levels):
    """A chain of lists in which each is put in the one before when that is in another already."""
    lists = b"".join(b"]r" + struct.pack("<I", i) for i in range(levels))
    fill = b"".join(b"j" + struct.pack("<I", i) + b"(j" + struct.pack("<I", i + 1) + b"et"
                    for i in range(levels - 1))
    return b"(" + lists + b"(" + fill.replace(b"et", b"e") + b"tt"


def pickles():
    weight = "w : Tensor"
    use = module("w = self.w\nreturn torch.add(w, 1)", weight)
    good = tensor(storage(4), 0, [4], [1])
    build = name("torch._utils", "_rebuild_tensor_v2")

    def with_weight(made, code=use, storages=(bytes(16),)):
        return program(code, module_pickle(w=made), storages=storages)

    yield "loads", "pickle_tensor", with_weight(good)
    yield "refused", "pickle_tensor_of_tensor", with_weight(tensor(good, 10**9, [4], [1]))
    yield "refused", "pickle_tensor_built", with_weight(
        build + tensor_arguments(storage(4), 10**9, [4], [1]) + b"b")
    yield "refused", "pickle_function_by_number", with_weight(
        build + b"0" + b"K\0" + tensor_arguments(storage(4), 10**9, [4], [1]) + b"R")
    yield "refused", "pickle_number_called", with_weight(b"K\0)R")
    yield "refused", "pickle_new_tensor", with_weight(
        build + b")\x81" + tensor_arguments(storage(4), 10**9, [4], [1]) + b"b")
    for what, sizes, strides in (("sizes", [1 << 62] * 3, [1] * 3), ("strides", [9], [1 << 62]),
                                 ("more_sizes", [1, 1], [1]), ("negative", [-1], [1]),
                                 ("empty_huge", [0, 1 << 62, 1 << 62], [1, 1, 1])):
        yield ("either" if what == "empty_huge" else "refused"), f"pickle_tensor_{what}", \
            with_weight(tensor(storage(4), 0, sizes, strides))
    indices = tensor(storage(2, "1", "LongStorage"), 0, [1, 2], [2, 1])
    yield "refused", "pickle_sparse", program(
        module("w = self.w\nreturn torch.to_dense(w)", weight),
        module_pickle(w=name("torch._utils", "_rebuild_sparse_tensor") + tuple_of(
            number(1), tuple_of(number(2)), b"\x89", indices, good) + b"R"),
        storages=(bytes(16), struct.pack("<qq", 10**9, -10**9)))
    quantized = tuple_of(name("torch", "per_channel_affine"),
                         tensor(storage(1, "1", "DoubleStorage"), 0, [1], [1]),
                         tensor(storage(1, "2", "LongStorage"), 0, [1], [1]), number(0))
    yield "refused", "pickle_scales", program(
        module("w = self.w\nreturn torch.dequantize(w)", weight),
        module_pickle(w=name("torch._utils", "_rebuild_qtensor") + tuple_of(
            storage(16, "0", "QInt8Storage"), number(0), tuple_of(number(16)),
            tuple_of(number(1)), quantized, b"\x89", name("collections", "OrderedDict") + b")R") +
                      b"R"), storages=(bytes(16), bytes(8), bytes(8)))
    for where, what in (("torch._tensor", "_rebuild_from_type_v2"),
                        ("torch.distributed.rpc", "rref"), ("os", "system"),
                        ("__builtin__", "eval"), ("torch", "NoStorage"), ("__main__", "TensorID"),
                        ("torch.jit._pickle", "build_tensor_from_id"),
                        ("torch.jit._pickle", "restore_type_tag"), ("__torch__", "Missing"),
                        ("", ""), ("__torch__" + ".a" * 2000, "B")):
        called = name(where, what) + tuple_of(text("echo"), number(7)) + b"R"
        yield "refused", f"pickle_global_{where[:20]}_{what}", program(data=pickle(called))
    anything = module("return self.l", "l : Any", "Any")
    yield "refused", "pickle_memo_number", program(data=b"\x80\x02Nr\xff\xff\xff\x3f.")
    yield "refused", "pickle_memo_bomb", program(anything, module_pickle(l=shared(60)))
    yield "refused", "pickle_cycle_of_two", program(
        anything, module_pickle(l=b"]q\x63(]q\x62(h\x63ee"))
    yield "refused", "pickle_grown_later", program(anything, module_pickle(l=grown_later(100000)))
    yield "loads", "pickle_shared_once", program(anything, module_pickle(l=shared(3)))
    yield "refused", "pickle_text_4g", program(data=b"\x80\x02X\xff\xff\xff\xffab.")
    yield "refused", "pickle_long", program(data=b"\x80\x02\x8a\xff" + bytes(255) + b".")
    yield "refused", "pickle_module_is_number", program(data=pickle(number(3)))
    yield "refused", "pickle_module_is_tuple", program(data=pickle(b")"))
    yield "refused", "pickle_constants_number", program(constants=pickle(number(1)))
    fields = "".join(f"a{i} : Tensor\n" for i in range(10))
    classes = submodule("B", fields) + submodule("E")
    yield "refused", "pickle_wrong_class", program(
        module("b = self.b\nreturn b.a9", "b : __torch__.B") + classes,
        module_pickle(b=instance("__torch__", "E")))
    yield "refused", "pickle_wrong_class_in_list", program(
        module("b = self.b\nreturn (b[0]).a9", "b : List[__torch__.C]") +
        classes.replace("(Module)", "").replace("  __parameters__ = []\n  __buffers__ = []\n", "")
        .replace("class B", "class C").replace("__torch__.B", "__torch__.C"),
        module_pickle(b=b"](" + instance("__torch__", "E") + b"e"))
    yield "refused", "pickle_short_tuple", program(
        module("a, b, = self.t\nreturn torch.add(a, b)", "t : Tuple[Tensor, Tensor]"),
        module_pickle(t=b")"))
    yield "either", "pickle_wrong_type", program(use, module_pickle(w=number(3)))
    yield "either", "pickle_wrong_list", program(
        module("return torch.add(x, (self.l)[0])", "l : List[int]"),
        module_pickle(l=name("torch.jit._pickle", "build_intlist") + b"](" + text("x") + b"e\x85R"))
    yield "refused", "pickle_missing_attribute", program(use)
    yield "either", "pickle_other_root", program(module("return x") + submodule("E"),
                                                 pickle(instance("__torch__", "E")))


# ---- code ----


def calls(levels, width=1):
    """A function that calls one that calls one …, `width` times each."""
    made = module("y = x\nif bool(torch.gt(torch.sum(x), 1000000.)):\n"
                  "  y = __torch__.f0(x, )\nreturn y")
    for i in range(levels):
        inner = f"__torch__.f{i + 1}(x, )" if i + 1 < levels else "x"
        body = f"  y = {inner}\n" * (width - 1)
        made += f"def f{i}(x: Tensor) -> Tensor:\n{body}  return {inner}\n"
    return made


def calls_below(levels, ifs, summands):
    """A function that calls one that calls one …, inside so many blocks and of a sum."""
    made = module("return __torch__.f0(x, )")
    for i in range(levels):
        inner = f"__torch__.f{i + 1}(x, )" if i + 1 < levels else "x"
        heads = "".join(f"{' ' * j}  if True:\n" for j in range(ifs))
        tails = "".join(f"{' ' * j}  else:\n{' ' * j}   y = x\n" for j in reversed(range(ifs)))
        made += (f"def f{i}(x: Tensor) -> Tensor:\n{heads}{' ' * ifs}  y = {inner}{' + x' * summands}\n"
                 f"{tails}  return y\n")
    return made


def class_chain(levels):
    made = module("return x", "a : Optional[__torch__.C0]")
    return made + "".join(
        submodule(f"C{i}", f"a : __torch__.C{i + 1}" if i + 1 < levels else "")
        for i in range(levels))


def nested_ifs(levels, indent):
    return "\n".join(indent * i + "if True:" for i in range(levels)) + "\n" + \
        indent * levels + "y = x\nreturn x"


def codes():
    many = 20000
    for what, expression in (("sum", "x" + " + x" * many), ("minus", "- " * many + "x"),
                             ("not", "not " * many + "True"), ("power", "1" + "**1" * many),
                             ("attribute", "x" + ".T" * many), ("index", "x" + "[0]" * many),
                             ("call", "x" + "()" * many), ("choice", "x if True else " * many + "x"),
                             ("name", "__torch__" + ".a" * many),
                             ("brackets", "(" * many + "x" + ")" * many),
                             ("lists", "[x, " * 200 + "x" + " + x" * 900 + "]" * 200)):
        yield "refused", f"code_deep_{what}", program(module(f"y = {expression}\nreturn x"))
    yield "loads", "code_sum", program(module("return x" + " + x" * 300))
    yield "loads", "code_calls", program(calls(200))
    yield "refused", "code_deep_calls", program(calls(3000))
    yield "loads", "code_calls_in_ifs", program(calls_below(50, 5, 5))
    yield "refused", "code_deep_calls_in_ifs", program(calls_below(200, 60, 0))
    yield "refused", "code_deep_calls_in_sums", program(calls_below(200, 0, 100))
    yield "refused", "code_deep_classes", program(class_chain(2000), module_pickle(a=b"N"))
    yield "loads", "code_ifs", program(module(nested_ifs(100, "  ")))
    yield "refused", "code_deep_ifs", program(module(nested_ifs(1000, " ")))
    yield "loads", "code_calls_grow", program(calls(40, width=2))
    yield "refused", "code_recursive", program(
        module("return __torch__.f(x, )") +
        "def f(x: Tensor) -> Tensor:\n  return __torch__.f(x, )\n")
    yield "refused", "code_recursive_method", program(module("return (self).forward(x, )"))
    yield "refused", "code_own_class", program(module("return x", "a : Optional[__torch__.M]"),
                                               module_pickle(a=b"N"))
    yield "refused", "code_unknown_operator", program(module("return ops.no.such(x)"))
    yield "refused", "code_unknown_constant", program(module("return CONSTANTS.c7"))
    yield "refused", "code_large_number", program(module(f"y = {'9' * 4000}\nreturn x"))
    yield "loads", "code_raises", program(module("ops.prim.RaiseException(\"no\")\nreturn x"))
    yield "either", "code_zeros", program(module("return torch.zeros([1099511627776])"))
    yield "either", "code_zeros_overflow", program(
        module("return torch.zeros([4611686018427387904, 4])"))
    yield "either", "code_repeats", program(module("return torch.repeat(x, [1000000, 1000000])"))
    endless = "l = annotate(List[Any], [])\n"
    yield "loads", "code_contains_itself", program(
        module(endless + "_0 = torch.append(l, l)\nreturn l", returns="Any"))
    yield "loads", "code_shares", program(
        module(endless + "for i in range(60):\n  l = annotate(List[Any], [l, l])\nreturn l",
               returns="Any"))
    yield "loads", "code_nests", program(
        module(endless + "for i in range(2000):\n  l = annotate(List[Any], [l])\nreturn l",
               returns="Any"))
    for what, code in (("empty", ""), ("zeros", b"\0" * 100), ("bytes", bytes(range(256))),
                       ("no_class", "x = 1\n"), ("half", MODEL[:len(MODEL) // 2]),
                       ("quote", MODEL + "\"" * 99), ("no_forward", MODEL.replace("forward", "f")),
                       ("untyped", MODEL.replace("__parameters__", "__params__", 1)),
                       ("base", MODEL.replace("Module", "Tensor", 1)),
                       ("parameters", MODEL.replace("= []", "= [1, x]", 1)),
                       ("typed_list", MODEL.replace("__parameters__ =", "__parameters__ :", 1)),
                       ("other_base", MODEL.replace("(Module)", "(Module,)", 1)),
                       ("no_base", MODEL.replace("(Module)", "()", 1)),
                       ("grouped", module("return x", "(a) = 1")),
                       ("grouped_type", module("return x", "(a) : int")),
                       ("added", module("return x", "a += 1")),
                       ("no_statement", module("return x", "1")),
                       ("constant", module("return x", "a : Final[] = 1")),
                       ("no_constant", module("return x", "a : Final = 1")),
                       ("annotation", module("return x", '__annotations__["a"] : int')),
                       ("annotations", module("return x", '__annotations__["a", "b"] = int')),
                       ("annotated", module("return x", "__annotations__[a] = int")),
                       ("annotation_split", module("return x", '__annotations__[\n "a"] : int'))):
        yield ("either" if what == "quote" else "refused"), f"code_{what}", program(code)


def raises():
    """What libtorch's operators refuse, however harmless it looks."""
    image, rows = "torch.reshape(x, [2, 1, 2, 3])", "torch.reshape(x, [2, 3, 2])"
    columns = f"torch.transpose({rows}, 1, 2)"
    for i, expression in enumerate((
            "constant_pad_nd(x, [0, 0, 0, 0, 0, 0, 0, 0], 0)",
            'pad(torch.unsqueeze(x, 1), [1, 2], "reflect", 5.)', "dropout(x, 2., False)",
            "dropout(x, -1., False)", "contiguous(x, memory_format=2)",
            f"contiguous({image}, memory_format=3)", "clone(x, memory_format=2)",
            "to(x, 6, False, False, 2)", "channel_shuffle(x, 3)", "unflatten(torch.slice(x, 1, 0, 1, 1), 1, [])",
            f"adaptive_avg_pool2d({image}, [1])", f"upsample_nearest2d({image}, [4], None)",
            f"bmm({rows}, torch.ones([2, 4]))", f"mm({rows}, torch.ones([2, 4]))",
            f"mm({rows}, {columns})", f"bmm(torch.unsqueeze({rows}, 1), torch.unsqueeze({columns}, 1))",
            f"baddbmm(torch.ones([1]), torch.unsqueeze({rows}, 1), torch.unsqueeze({columns}, 1), "
            "beta=1, alpha=1)",
            f'einsum("abc,adc->abd", [{rows}, {rows}], path=[5, 9])',
            f'einsum("abc,adc->abd", [{rows}, {rows}], path=[0])')):
        yield "raises", f"raises_{i}", program(module(f"return torch.{expression}"))
    # Of what depends on the input's sizes no constant is made beforehand.
    zeros = "torch.zeros([1, 2, 2])"
    made = f"torch.select(torch.stack([{zeros}, {zeros}]), 0, torch.size(x, 0) - 2)"
    yield "raises", "raises_one_state", program(recurrent(f"[{made}]"))
    yield "raises", "raises_three_states", program(recurrent(f"[{made}, {made}, {made}]"))
    yield "loads", "states", program(recurrent(f"[{made}, {made}]"))
    for i, (dividend, divisor) in enumerate((("6", "torch.size(x, 1) - 6"),
                                             ("-9223372036854775807 - 1", "torch.size(x, 1) - 7"))):
        for operator in ("remainder", "floordiv"):
            yield "raises", f"raises_{operator}_{i}", program(
                module(f"return torch.mul(x, torch.{operator}({dividend}, {divisor}))"))
    # Its only window is all padding: libtorch would write the gradient behind the operand's.
    for i, call in enumerate(("max_pool1d(torch.unsqueeze(x, 1), [2], [1], [1], [7], False)",
                              f"max_pool2d({image}, [2], [1], [1], [3], False)",
                              f"max_pool2d({image}, [2, 2], [1, 1], [1], [3, 2], False)",
                              "max_pool3d(torch.reshape(x, [2, 1, 1, 2, 3]), [1, 2, 2], [1, 1, 1], "
                              "[0, 0, 1], [1, 1, 4], False)")):
        yield "raises", f"raises_pool_misses_{i}", program(module(f"return torch.{call}"))


def recurrent(states):
    """An LSTM with two features and two states."""
    return module("w = torch.ones([8, 2])\nb = torch.zeros([torch.size(x, 0) + 6])\n"
                  f"y, h, c = torch.lstm(torch.reshape(x, [2, 3, 2]), {states}, [w, w, b, b], "
                  "True, 1, 0., False, False, True)\nreturn y")
def windows(huge, least):
    """Calls that slide windows over an image, or normalise it, with numbers that make no sense."""
    image, weight = "torch.reshape(x, [1, 1, 2, 6])", "torch.ones([1, 1, 1, 1])"
    empty, one = "torch.ones([0])", "torch.ones([1])"
    for kernel, dilation in ((0, 1), (1, 0), (1, -10), (2, -1000000), (2, huge), (least, 1)):
        for padding in (0, 1, least):
            yield (f"max_pool2d({image}, [{kernel}, {kernel}], [1, 1], [{padding}, 0], "
                   f"[{dilation}, {dilation}], False)")
        yield f"conv2d({image}, {weight}, None, [1, 1], [1, 1], [{dilation}, 1], 1)"
        yield f"conv2d({image}, torch.ones([1, 1, {kernel}, 1]), None, [1, 1], [1, 1], [1, 1], 1)"
    for groups in (0, -1, 7, least):
        yield f"conv2d({image}, {weight}, None, [1, 1], [0, 0], [1, 1], {groups})"
        yield f"conv_transpose2d({image}, {weight}, None, [1, 1], [0, 0], [0, 0], {groups}, [1, 1])"
    for stride, more in ((0, 0), (-1, 0), (huge, 0), (1, 5), (1, least), (2, -1)):
        yield f"conv2d({image}, {weight}, None, [{stride}, 1], [{more}, 0], [1, 1], 1)"
        yield (f"conv_transpose2d({image}, {weight}, None, [{stride}, 1], [0, 0], [{more}, 0], 1, "
               "[1, 1])")
    for mode in ("reflect", "replicate", "circular", "constant"):
        for pads in (f"{least}, 0, 0, 0", f"0, {huge}, 0, 0", "-6, 0, 0, 0", "-1, 2, 0, 0", "9, 9"):
            yield f'pad({image}, [{pads}], "{mode}", None)'
    for weights in ((one, empty, one, one), (one, one, empty, one), (one, one, one, empty),
                    (empty, one, one, one), (one, one, one, "torch.ones([2, 1])")):
        yield f"batch_norm({image}, {', '.join(weights)}, False, 0.1, 1.0000000000000001e-05, False)"
    for scale in ("1.0e+30", "-1.", "0.", "1.3700000000000001"):
        yield f"upsample_nearest2d({image}, None, [{scale}, {scale}])"


def shapes():
    """Sizes, places and lists that no run can have, for what reads a model without running it."""
    huge, least = 1 << 62, -(1 << 63)
    for i, expression in enumerate((
            f"torch.reshape(x, [-{huge}, -1])", f"torch.reshape(x, [{huge}, 4])",
            f"torch.reshape(x, [-1, {least}])", "torch.reshape(x, [-3, -4])",
            "torch.reshape(x, [0, -1])", "torch.reshape(x, [])", f"torch.view(x, [2, {least}])",
            f"torch.permute(x, [{least}, 1])", "torch.permute(x, [0, 0])",
            f"torch.transpose(x, {least}, 1)", f"torch.flatten(x, {least}, {huge})",
            f"torch.unsqueeze(x, {least})", f"torch.squeeze(x, {huge})",
            f"torch.slice(x, 1, {least}, {huge}, {huge})", f"torch.slice(x, 1, 0, 6, {least})",
            f"torch.slice(x, {huge}, 0, 6, 1)", f"torch.narrow(x, 1, {huge}, {huge})",
            f"torch.narrow(x, 1, 0, {least})", f"torch.select(x, 1, {least})",
            f"torch.expand(x, [{huge}, {huge}, 2, 6])", f"torch.expand(x, [{least}, 6])",
            f"torch.chunk(x, {huge}, 1)[0]", "torch.chunk(x, 0, 1)[0]",
            f"torch.split(x, {least}, 1)[0]", f"torch.split_with_sizes(x, [{huge}, -{huge}], 1)[0]",
            f"torch.pixel_shuffle(x, {huge})", f"torch.channel_shuffle(x, {huge})",
            f"torch.constant_pad_nd(x, [{huge}, {huge}], 0)",
            f"torch.constant_pad_nd(x, [{least}, 0], 0)",
            f"torch.avg_pool1d(x, [{huge}], [{huge}], [{huge}])",
            f"torch.avg_pool1d(x, [1], [{least}], [0])", "torch.max_pool1d(x, [0], [0], [0])",
            f"torch.upsample_nearest1d(torch.unsqueeze(x, 1), [{huge}], None)",
            f"torch.unflatten(x, 1, [{huge}, {huge}])", f"torch.softmax(x, {least}, None)",
            f"torch.select(torch.unbind(x, 1)[5], 0, {least})", "torch.linear(x, x, x)",
            "torch.add(x, x, alpha=1, out=torch.zeros([2, 6]))",
            f"torch.expand(torch.unsqueeze(torch.unsqueeze(x, 2), 3), [2, 6, {1 << 30}, {1 << 28}])",
            f"torch.split(torch.expand(torch.slice(x, 1, 0, 1, 1), [2, {1 << 61}]), 1, 1)[0]",
            f"torch.chunk(torch.expand(torch.slice(x, 1, 0, 1, 1), [2, {1 << 61}]), {huge}, 1)[0]",
            "torch.avg_pool2d(torch.reshape(x, [2, 1, 2, 3]), [60000, 60000], [60000, 60000], "
            "[30000, 30000], False, True, None)",
            *(f"torch.{call}" for call in windows(huge, least)))):
        yield "either", f"shape_{i}", program(module(f"return {expression}"))
    start = "l = annotate(List[Tensor], [x, x])\n"
    for what, rounds, body in (("doubles", 20, "l = torch.add(l, l)"),
                               ("copies", 99999, "m = torch.list(l)"),
                               ("grows", 99999, "_0 = torch.append(l, x)"),
                               ("inserts", 20000, "torch.insert(l, 0, x)"),
                               ("reverses", 99999, "torch.reverse(l)"),
                               ("slices", 99999, "l = torch.slice(l, None, None, -1)")):
        yield "loads", f"list_{what}", program(
            module(f"{start}for i in range({rounds}):\n  {body}\nreturn l[-1]"))
    yield "loads", "constants_grow", program(module(
        "y = x\nfor i in range(280):\n  z = torch.constant_pad_nd(x, [0, 1000000], 0.5)\n"
        "return torch.relu(x)"))
    yield "either", "nested_tensor", program(module(
        "m = torch._nested_from_padded(torch.ones([3, 6, 6]), torch.tensor([[3, 6], [3, 6], [3, 6]]))\n"
        "return torch.add(x, 1)"))
    for what, body in (("far", f"y = l[{huge}]"), ("least", f"y = l[{least}]"),
                       ("step", f"y = torch.slice(l, {least}, {huge}, {least})[0]"),
                       ("pops", "y = torch.pop(l)\n_0 = torch.pop(l)\n_1 = torch.pop(l)")):
        yield "either", f"list_{what}", program(module(f"{start}{body}\nreturn y"))
    yield "loads", "dictionary_grows", program(module(
        "d = annotate(Dict[int, Tensor], {})\n"
        "for i in range(99999):\n  torch._set_item(d, i, x)\nreturn d[7]"))
    yield "loads", "dictionary_without_key", program(module(
        "d = annotate(Dict[str, Tensor], {\"a\": x})\nreturn d[\"b\"]"))


def classes():
    """Other classes, which the model's attribute is of."""
    for what, kind, body in (("tuple", "NamedTuple", "a = 1"),
                             ("tuple_list", "NamedTuple", "__parameters__ = []"),
                             ("enum", "Enum", "A : int"),
                             ("enum_list", "Enum", "A : int\n__parameters__ = []"),
                             ("spaced", " NamedTuple ", "__parameters__ = []"),
                             ("comment", "NamedTuple): # (Enum", "a = 1"),
                             ("interface", "ModuleInterface", "a = 1"),
                             ("interface_empty", "Interface", "1")):
        lines = "".join(f"  {line}\n" for line in body.split("\n"))
        yield "refused", f"class_{what}", program(
            module("return x", "a : Optional[__torch__.C]") + f"class C({kind}):\n" + lines,
            module_pickle(a=b"N"))


def ranges(*places, table=None):
    """Where code came from: (source, first, end) for the positions 0, 1, …, as in a .debug_pkl."""
    made = tuple_of(*(tuple_of(number(i), place, number(-1)) for i, place in enumerate(places)))
    return pickle(made if table is None else
                  tuple_of(text("FORMAT_WITH_STRING_TABLE"), tuple_of(*map(text, table)), made))


def place(source, first=0, end=1):
    return tuple_of(source, number(first), number(end))


def pieces(indices, name_index=0, line=0):
    """A source whose text is in a table."""
    items = name("torch.jit._pickle", "build_intlist") + \
        b"](" + b"".join(map(number, indices)) + b"e\x85R"
    return tuple_of(items, number(name_index), number(line))


def source_ranges():
    """Errors in code are reported with them: this code has one."""
    plain = tuple_of(text("return x"), text("m.py"), number(1))
    for outcome, what, made in (
            ("either", "good", ranges(place(plain))),
            ("either", "table", ranges(place(pieces([0, 1])), table=["return x", "m.py"])),
            ("either", "nothing", ranges(table=[])),
            ("refused", "number", pickle(number(1))),
            ("refused", "empty", pickle(b")")),
            ("refused", "no_table", pickle(tuple_of(text("FORMAT_WITH_STRING_TABLE")))),
            ("refused", "table_of_numbers",
             pickle(tuple_of(text("FORMAT_WITH_STRING_TABLE"), tuple_of(number(1)), b")"))),
            ("refused", "other_format", pickle(tuple_of(text("FORMAT_WITH_TABLE"), b")", b")"))),
            ("refused", "short", ranges(b")")),
            ("refused", "no_source", ranges(place(b"N"))),
            ("refused", "source_short", ranges(place(tuple_of(text("x"))))),
            ("refused", "text_number", ranges(place(tuple_of(number(1), b"N", number(1))))),
            ("refused", "name_number", ranges(place(tuple_of(text("x"), number(1), number(1))))),
            ("refused", "line_negative", ranges(place(tuple_of(text("x"), b"N", number(-9))))),
            ("refused", "end_far", ranges(place(plain, 0, 1 << 40))),
            ("refused", "end_first", ranges(place(plain, 5, 2))),
            ("refused", "first_negative", ranges(place(plain, -1, 2))),
            ("refused", "piece_far", ranges(place(pieces([0, 9])), table=["x"])),
            ("refused", "piece_negative", ranges(place(pieces([-1])), table=["x"])),
            ("refused", "name_far", ranges(place(pieces([0], 1 << 40)), table=["x"])),
            ("refused", "type", pickle(name("torch", "FloatStorage"))),
            ("refused", "storage", ranges(storage(1)))):
        debug = member("m/code/__torch__.py.debug_pkl", made)
        code = module("y = ops.no.such(x)\nreturn x")
        yield "refused", f"ranges_{what}", program(code, extra=[debug])
        yield outcome, f"ranges_{what}_in_good_code", program(extra=[debug])


# ---- good files, damaged ----


def flips():
    """Bits of members turned over, with checksums that agree."""
    import zipfile
    randomness = random.Random(1)
    for fixture in ("mlp.scripted.pt", "mlp.quantized.pt", "lstm.scripted.pt"):
        with zipfile.ZipFile(os.path.join(FIXTURES, fixture)) as archive:
            plain = [member(entry, archive.read(entry)) for entry in archive.namelist()]
        for ending, count in (("data.pkl", 40), (".py", 40), (".debug_pkl", 5)):
            targets = [i for i, entry in enumerate(plain) if entry["name"].endswith(ending)]
            for round_ in range(count if targets else 0):
                which = randomness.choice(targets)
                data = bytearray(plain[which]["data"])
                for _ in range(randomness.choice((1, 1, 3)) if data else 0):
                    data[randomness.randrange(len(data))] ^= 1 << randomness.randrange(8)
                damaged = plain[:which] + [{**plain[which], "data": bytes(data)}]
                yield "either", f"flip_{fixture[:6]}_{ending.strip('.')}_{round_}", pack(
                    damaged + plain[which + 1:])


def main(folder):
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "expected.txt"), "w") as expected:
        cases = [("loads", "good", program())]
        for kind in (zips, pickles, codes, raises, shapes, classes, source_ranges, flips):
            cases.extend(kind())
        for outcome, case, data in cases:
            file = "".join(c if c.isalnum() else "_" for c in case) + ".pt"
            with open(os.path.join(folder, file), "wb") as out:
                out.write(data)
            expected.write(f"{file} {outcome}\n")


if __name__ == "__main__":
    main(sys.argv[1])
