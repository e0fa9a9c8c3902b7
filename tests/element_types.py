#!/usr/bin/env python3
"""Small models of every element type with onnxruntime's answers: writes browser/element-types.json beside this file.

    pip install numpy onnx==1.23.2 onnxruntime==1.27.0
    python3 tests/element_types.py
"""
import base64, json, pathlib
import numpy as np, onnx, onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

T = TensorProto
CODES = {'float32': T.FLOAT, 'uint8': T.UINT8, 'int8': T.INT8, 'uint16': T.UINT16, 'int16': T.INT16, 'int32': T.INT32,
         'int64': T.INT64, 'bool': T.BOOL, 'float16': T.FLOAT16, 'float64': T.DOUBLE, 'uint32': T.UINT32, 'uint64': T.UINT64}
rng = np.random.default_rng(7)


def packed(name, array):
    array = np.ascontiguousarray(array)
    return {'name': name, 'type': array.dtype.name, 'dims': list(array.shape),
            'data': base64.b64encode(array.tobytes()).decode()}


def case(name, gpu, nodes, inputs, outputs, weights=None):
    value = lambda name, code, dims: helper.make_tensor_value_info(name, code, dims)
    graph = helper.make_graph(
        nodes, name,
        [value(key, CODES[array.dtype.name], [None] + list(array.shape[1:])) for key, array in inputs.items()],
        [value(key, CODES[kind], [None] * rank) for key, (kind, rank) in outputs.items()],
        [numpy_helper.from_array(array, key) for key, array in (weights or {}).items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=9)
    onnx.checker.check_model(model)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(model.SerializeToString(), options)
    golden = session.run(list(outputs), inputs)
    return {'name': name, 'gpu': gpu, 'onnx': base64.b64encode(model.SerializeToString()).decode(),
            'inputs': [packed(*pair) for pair in inputs.items()],
            'outputs': [packed(*pair) for pair in zip(outputs, golden)]}


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs.split(), outputs.split(), **attributes)


def whole(kind, count):
    limits = np.iinfo(kind)
    return rng.integers(limits.min, limits.max, count, dtype=kind, endpoint=True)


cases = [
    case('a picture of uint8', True, [
        node('Cast', 'x', 'f', to=T.FLOAT), node('Div', 'f k', 's'), node('Transpose', 's', 't', perm=[0, 3, 1, 2]),
        node('Conv', 't w', 'y', pads=[1, 1, 1, 1]),
    ], {'x': whole('uint8', (1, 9, 7, 3))}, {'y': ('float32', 4)},
        {'k': np.float32([255]), 'w': rng.normal(size=(4, 3, 3, 3)).astype('float32')}),
    case('float16 from end to end', True, [
        node('Gemm', 'x w b', 'g', transB=1), node('Relu', 'g', 'r'), node('Cast', 'r', 'f', to=T.FLOAT),
        node('Softmax', 'f', 's', axis=1), node('Cast', 's', 'h', to=T.FLOAT16), node('Mul', 'h k', 'm'),
        node('Shape', 'm', 'shape'), node('ConstantOfShape', 'shape', 'one', value=numpy_helper.from_array(np.float16([1]))),
        node('Add', 'm one', 'y'), node('Identity', 'g', 'z'),
    ], {'x': rng.normal(size=(3, 20)).astype('float16')}, {'y': ('float16', 2), 'z': ('float16', 2), 's': ('float32', 2)},
        {'w': rng.normal(size=(10, 20)).astype('float16'), 'b': rng.normal(size=10).astype('float16'), 'k': np.float16([8])}),
    case('float64 keeps its digits', False, [
        node('Add', 'x k', 'a'), node('MatMul', 'a w', 'm'), node('Sigmoid', 'm', 'g'), node('Sub', 'm k', 'y'),
        node('ReduceMean', 'y', 'r', axes=[1]), node('Concat', 'g r', 'z', axis=1), node('Softmax', 'x', 's'),
        node('Cast', 'x', 'f', to=T.FLOAT), node('Pow', 'x two', 'p'), node('Greater', 'x zero', 'o'),
        node('Where', 'o x p', 'v'), node('Transpose', 'v', 't'),
    ], {'x': rng.normal(size=(3, 5))},
        {'y': ('float64', 2), 'z': ('float64', 2), 's': ('float64', 2), 'f': ('float32', 2), 't': ('float64', 2)},
        {'k': np.float64([1e9]), 'w': rng.normal(size=(5, 4)), 'two': np.float64([2]), 'zero': np.float64([0])}),
    case('int64 keeps its digits', False, [
        node('Add', 'x k', 'a'), node('Mul', 'a x', 'm'), node('Div', 'm three', 'd'), node('Max', 'd x', 'g'),
        node('Clip', 'x low', 'c'), node('Greater', 'x k', 'o'), node('Where', 'o x c', 'w'), node('Neg', 'w', 'n'),
        node('Cast', 'x', 'narrow', to=T.INT32),
    ], {'x': whole('int64', (4, 3))},
        {'g': ('int64', 2), 'c': ('int64', 2), 'o': ('bool', 2), 'n': ('int64', 2), 'narrow': ('int32', 2)},
        {'k': np.int64([(1 << 60) + 1]), 'three': np.int64([3]), 'low': np.int64((1 << 53) + 1)}),
]
for kind in ['uint8', 'int8', 'uint16', 'int16', 'uint32', 'uint64']:
    cases.append(case(f'{kind} is moved and cast', False, [
        node('Transpose', 'x', 't', perm=[1, 0, 2]), node('Slice', 't from to axes', 's'), node('Concat', 's s', 'j', axis=2),
        node('Gather', 'j at', 'g', axis=2), node('Reshape', 'g flat', 'r'), node('Expand', 'r wide', 'y'),
        node('Cast', 'x', 'f', to=T.FLOAT), node('Cast', 'x', 'l', to=T.INT64), node('Cast', 'l', 'back', to=CODES[kind]),
        node('Cast', 'x', 'b', to=T.BOOL), node('Unsqueeze', 'x axes', 'u'), node('Split', 'x', 'p q', axis=0),
    ], {'x': whole(kind, (4, 3, 5))},
        {'y': (kind, 3), 'f': ('float32', 3), 'l': ('int64', 3), 'back': (kind, 3), 'b': ('bool', 3), 'u': (kind, 4), 'q': (kind, 3)},
        {'from': np.int64([1]), 'to': np.int64([3]), 'axes': np.int64([0]), 'at': np.int64([9, 0, -1]),
         'flat': np.int64([1, 8, -1]), 'wide': np.int64([2, 1, 1])}))
for kind in ['uint32', 'uint64', 'int32']:
    cases.append(case(f'{kind} wraps around', False, [
        node('Add', 'x y', 'a'), node('Sub', 'x y', 's'), node('Mul', 'x y', 'm'), node('Div', 'x y', 'd'),
        node('Max', 'x y', 'high'), node('Min', 'x y', 'low'), node('Equal', 'x x', 'e'), node('Less', 'x y', 'l'),
    ], {'x': whole(kind, (6,)), 'y': whole(kind, (6,))},
        {'a': (kind, 1), 's': (kind, 1), 'm': (kind, 1), 'd': (kind, 1), 'high': (kind, 1), 'low': (kind, 1),
         'e': ('bool', 1), 'l': ('bool', 1)}))

path = pathlib.Path(__file__).resolve().parent / 'browser' / 'element-types.json'
path.write_text(json.dumps(cases, indent=1) + '\n')
print(f'{len(cases)} cases, {path.stat().st_size} bytes')
