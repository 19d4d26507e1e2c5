"""TorchScript archives made by hand, with everything in them that a file should not have."""

import struct
import zlib

MODEL = """class M(Module):
  __parameters__ = []
  __buffers__ = []
  training : bool
  def forward(self: __torch__.M, x: Tensor) -> Tensor:
    return torch.relu(x)
"""


def member(name, data, **changes):
    """A record of a zip archive; `changes` are lies about it, in its two headers."""
    return {"name": name, "data": data, **changes}


def pack(members, end=None, central_extra=b"", before=b"", comment=b""):
    """A zip archive with all records stored, but for what the records and `end` say otherwise."""
    out = bytearray(before)
    directory = bytearray()
    for entry in members:
        name = entry["name"].encode() if isinstance(entry["name"], str) else entry["name"]
        data = entry["data"]
        payload = entry.get("payload", data)
        fields = {
            "method": 0,
            "flags": 0,
            "crc": zlib.crc32(data),
            "compressed": len(payload),
            "size": len(data),
            "offset": len(out),
            "extra": b"",
        }
        local = {**fields, **entry.get("local", {})}
        central = {**fields, **entry.get("central", {})}
        out += struct.pack(
            "<4sHHHHHIIIHH", b"PK\3\4", 20, local["flags"], local["method"], 0, 0x21, local["crc"],
            local["compressed"], local["size"], len(name), len(local["extra"]))
        out += name + local["extra"] + payload
        directory += struct.pack(
            "<4sHHHHHHIIIHHHHHII", b"PK\1\2", 20, 20, central["flags"], central["method"], 0, 0x21,
            central["crc"], central["compressed"], central["size"], len(name),
            len(central["extra"]), 0, 0, 0, 0, central["offset"])
        directory += name + central["extra"]
    closing = {"count": len(members), "here": len(members), "size": len(directory),
               "offset": len(out), "disk": 0, **(end or {})}
    return bytes(out + directory + central_extra) + struct.pack(
        "<4sHHHHIIH", b"PK\5\6", closing["disk"], closing["disk"], closing["here"],
        closing["count"], closing["size"], closing["offset"], len(comment)) + comment


def members(code=MODEL, data=None, constants=b"\x80\x02).", storages=(), root="m", extra=()):
    """The records of a program. `code` may be a dictionary from paths to texts."""
    sources = code if isinstance(code, dict) else {"__torch__": code}
    made = [member(f"{root}/data.pkl", data if data is not None else module_pickle())]
    for path, text in sources.items():
        made.append(member(f"{root}/code/{path}.py",
                           text if isinstance(text, bytes) else text.encode()))
    made.append(member(f"{root}/constants.pkl", constants))
    for i, storage in enumerate(storages):
        made.append(member(f"{root}/data/{i}", storage))
    made.append(member(f"{root}/version", b"3\n"))
    return made + list(extra)


def program(*args, **kwargs):
    """A whole file; arguments as for members()."""
    return pack(members(*args, **kwargs))


# ---- pickles ----


def text(string):
    encoded = string.encode()
    return b"X" + struct.pack("<I", len(encoded)) + encoded


def name(module, attribute):
    return f"c{module}\n{attribute}\n".encode()


def number(value):
    return b"\x8a\x08" + struct.pack("<q", value)


def tuple_of(*items):
    return b"(" + b"".join(items) + b"t"


def pickle(body):
    return b"\x80\x02" + body + b"."


def instance(module, attribute, **attributes):
    """An object of a class of the model, as Python's __reduce__ makes it."""
    items = b"".join(text(key) + value for key, value in attributes.items())
    return name(module, attribute) + b")\x81}(" + items + b"ub"


def module_pickle(**attributes):
    return pickle(instance("__torch__", "M", training=b"\x89", **attributes))


def storage(numel, key="0", kind="FloatStorage"):
    return tuple_of(text("storage"), name("torch", kind), text(key), text("cpu"),
                    number(numel)) + b"Q"


def tensor_arguments(base, offset, sizes, strides):
    return tuple_of(base, number(offset), tuple_of(*map(number, sizes)),
                    tuple_of(*map(number, strides)), b"\x89",
                    name("collections", "OrderedDict") + b")R")


def tensor(base, offset, sizes, strides):
    return (name("torch._utils", "_rebuild_tensor_v2") +
            tensor_arguments(base, offset, sizes, strides) + b"R")
