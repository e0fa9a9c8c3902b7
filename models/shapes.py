#!/usr/bin/env python3
"""Goldens at other shapes than the models' own, by onnxruntime: writes data/shapes/NAME.json beside this file.

    pip install numpy onnxruntime==1.27.0
    cargo demo --headless                   # writes the models below target/models
    python3 models/shapes.py target/models

An input is made from a counter, as src/recipe.rs makes it: element i is splitmix64(first + i), its upper 24 bits as a
number in [-1, 1) for floats, its remainder by `below` for integers. On noise the finder of text says 1e-6 everywhere,
which is nothing to compare: it is given windows of its own picture, `window` the row and column where the first begins.
"""
import base64, gzip, json, pathlib, sys
import numpy as np, onnxruntime as ort

HERE = pathlib.Path(__file__).resolve().parent / 'data' / 'shapes'
KEPT = 512


def splitmix64(count, first):
    with np.errstate(over='ignore'):
        z = np.arange(count, dtype=np.uint64) + np.uint64(first) + np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def floats(shape, first):
    return {'dtype': 'float32', 'shape': shape, 'first': first}


def integers(shape, first, below, dtype='int64'):
    return {'dtype': dtype, 'shape': shape, 'first': first, 'below': below}


def given(shape, values):
    return {'dtype': 'int64', 'shape': shape, 'values': values}


def window(shape, row, column):
    return {'dtype': 'float32', 'shape': shape, 'window': [row, column]}


def own_picture(model):
    text = gzip.open(HERE.parent / 'published' / f'{model}.inputs.json.gz').read()
    [spec] = json.loads(text).values()
    return np.frombuffer(base64.b64decode(spec['values']), np.float32).reshape(spec['shape'])


def array(spec, model):
    count = int(np.prod(spec['shape']))
    if 'values' in spec:
        return np.array(spec['values'], np.int64).reshape(spec['shape'])
    if 'window' in spec:
        (row, column), (batch, _, height, width), picture = spec['window'], spec['shape'], own_picture(model)
        cut = lambda b: np.roll(picture[0], (-row - 16 * b, -column), (1, 2))[:, :height, :width]
        return np.ascontiguousarray(np.stack([cut(b) for b in range(batch)]))
    bits = splitmix64(count, spec['first'])
    if 'below' in spec:
        return (bits % np.uint64(spec['below'])).astype(spec['dtype']).reshape(spec['shape'])
    return ((bits >> np.uint64(40)).astype(np.float64) / 2**23 - 1).astype(np.float32).reshape(spec['shape'])


def images(name, rest, *batches):
    return [{name: floats([batch, *rest], 1 << 20)} for batch in batches]


def text(batch, length):
    # The last three places of the last text are masked.
    mask = [0 if i >= batch * length - 3 else 1 for i in range(batch * length)]
    shape = [batch, length]
    return {
        'input_ids': integers(shape, 7, 30522),
        'attention_mask': given(shape, mask),
        'token_type_ids': given(shape, [0] * (batch * length)),
    }


def clip(texts, length, count):
    shape = [texts, length]
    return {
        'input_ids': integers(shape, 11, 49408),
        'attention_mask': given(shape, [1] * (texts * length)),
        'pixel_values': floats([count, 3, 224, 224], 5),
    }


def cached(batch, length, past):
    caches = [f'past_key_values.{layer}.{part}' for layer in range(6) for part in ('key', 'value')]
    feeds = {name: floats([batch, 6, past, 64], i << 32) for i, name in enumerate(caches, 1)}
    return {'input_ids': integers([batch, length], 3, 8192), **feeds}


CASES = {
    'squeezenet1_1': images('input', [3, 224, 224], 3, 2),
    'mobilenet_v2': images('input', [3, 224, 224], 3, 2),
    'resnet18': images('input', [3, 224, 224], 3, 2),
    'minilm_l6': [text(3, 17), text(1, 64)],
    'vit_tiny': images('pixel_values', [3, 224, 224], 3, 2),
    'clip_tiny': [clip(3, 9, 3), clip(1, 24, 1)],
    'gpt2_small_kv': [cached(3, 2, 4), cached(1, 7, 0)],
    'whisper_tiny_encoder': images('input_features', [80, 3000], 3, 2),
    'ocr_det_v4': [{'x': window([3, 3, 128, 192], 0, 0)}, {'x': window([1, 3, 160, 224], 40, 30)}],
    'ocr_cls': [{'x': floats([3, 3, 48, 192], 1)}, {'x': floats([2, 3, 48, 100], 2)}],
    'ocr_rec_v4': [{'x': floats([3, 3, 48, 96], 1)}, {'x': floats([1, 3, 48, 200], 2)}],
    'face_pnet': [{'input_1': floats([3, 24, 31, 3], 1)}, {'input_1': floats([1, 50, 40, 3], 2)}],
    'face_rnet': images('input_2', [24, 24, 3], 3, 5),
    'face_onet': images('input_3', [48, 48, 3], 3, 5),
    'music_pitch': [{'serving_default_input_2:0': floats([n, 43844, 1], 1)} for n in (2, 3)],
    'voice_vad': [
        {'input': floats([n, size], 1), 'state': floats([2, n, 128], 2), 'sr': given([1], [rate])}
        for n, size, rate in ((3, 576, 16000), (1, 288, 8000))
    ],
    'file_type': [{'bytes': integers([n, 2048], 1, 257, 'int32')} for n in (2, 5)],
}


def golden(value):
    flat = value.astype(np.float32).ravel()
    every = max(1, -(-flat.size // KEPT))
    # An even distance would meet the same column again and again.
    every += every > 1 and every % 2 == 0
    values = base64.b64encode(flat[::every].tobytes()).decode()
    return {'shape': list(value.shape), 'every': every, 'values': values}


def main(models):
    HERE.mkdir(exist_ok=True)
    for name, cases in CASES.items():
        options = ort.SessionOptions()
        options.log_severity_level = 4
        session = ort.InferenceSession(f'{models}/{name}.onnx', options, providers=['CPUExecutionProvider'])
        out = []
        for inputs in cases:
            feeds = {key: array(spec, name) for key, spec in inputs.items()}
            values = session.run(None, feeds)
            outputs = {o.name: golden(v) for o, v in zip(session.get_outputs(), values)}
            out.append({'inputs': inputs, 'outputs': outputs})
            print(name, {k: v['shape'] for k, v in list(outputs.items())[:3]}, flush=True)
        (HERE / f'{name}.json').write_text(json.dumps(out, separators=(',', ':')))


if __name__ == '__main__':
    main(*sys.argv[1:])
