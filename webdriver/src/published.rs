//! Fetches published models at pinned versions into `target/`. Knows archives; must never know what a model does.

use crate::setup::curl;
use crate::tools::{put, run};
use anyhow::{Context, Result, anyhow, bail};
use consort_models::{PUBLISHED, Published};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Writes every published model to `folder`, where it is not there already.
pub fn fetch(root: &Path, folder: &Path) -> Result<()> {
    for model in &PUBLISHED {
        let file = folder.join(format!("{}.onnx", model.name));
        if std::fs::read(&file).is_ok_and(|bytes| model.is(&bytes)) {
            continue;
        }
        let bytes = extract(root, model, model.path)?;
        if !model.is(&bytes) {
            bail!("{} of {} is not the file that the goldens were made with", model.path, model.package);
        }
        put(&file, &bytes)?;
    }
    Ok(())
}

/// The published model of that name.
pub fn find(name: &str) -> Result<&'static Published> {
    PUBLISHED.iter().find(|model| model.name == name).with_context(|| format!("no model {name} is published"))
}

/// The file `path` of a model's package.
pub fn extract(root: &Path, model: &Published, path: &str) -> Result<Vec<u8>> {
    let package = package(root, model.package)?;
    unpack(&package, path).with_context(|| format!("{path} in {}", package.display()))
}

/// The file of a package, fetched once.
pub fn package(root: &Path, url: &str) -> Result<PathBuf> {
    let home = root.join("target/packages");
    let name = url.rsplit('/').next().unwrap_or("package");
    let file = home.join(name);
    if !file.is_file() {
        std::fs::create_dir_all(&home)?;
        println!("fetching {name}");
        let part = home.join(format!("{name}.part"));
        run(Command::new(curl()?).args(["-sSfL", "--retry", "3", "-o"]).arg(&part).arg(url))?;
        std::fs::rename(&part, &file)?;
    }
    Ok(file)
}

fn unpack(package: &Path, path: &str) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if package.extension().is_some_and(|e| e == "whl") {
        let mut wheel = zip::ZipArchive::new(File::open(package)?)?;
        wheel.by_name(path)?.read_to_end(&mut bytes)?;
        return Ok(bytes);
    }
    let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(File::open(package)?));
    for entry in archive.entries()? {
        let mut entry = entry?;
        if entry.path()?.to_string_lossy() == path {
            entry.read_to_end(&mut bytes)?;
            return Ok(bytes);
        }
    }
    Err(anyhow!("it is not in there"))
}
