//! Makes a fresh machine ready: what is missing is installed where that is possible, else named with the line to type.
//! Knows tools and where they are found; must never know what they are used for.

use crate::browsers::{Browser, geckodriver_path, microphone_path, webnn_path};
use crate::tools::{cargo, find, run, says, tools};
use anyhow::{Context, Result, bail};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A geckodriver that speaks with the Firefox of current Debian releases.
const GECKODRIVER: &str = "0.37.1";
/// What runs the crate's own tests in a page.
const WASM_PACK: &str = "0.15.0";
/// What looks over the licences and sources of crates.
const DENY: &str = "0.20.2";

/// The wasm target of the toolchain.
pub fn wasm_target() -> Result<()> {
    let installed = says(Command::new("rustup").args(["target", "list", "--installed"]));
    match installed {
        Some(list) if list.lines().any(|l| l == "wasm32-unknown-unknown") => Ok(()),
        Some(_) => run(Command::new("rustup").args(["target", "add", "wasm32-unknown-unknown"])),
        // A toolchain without rustup has the target or its build says so.
        None => Ok(()),
    }
}

/// The source of the standard library.
pub fn rust_source() -> Result<()> {
    let installed = says(Command::new("rustup").args(["component", "list", "--installed"]));
    match installed {
        Some(list) if list.lines().any(|l| l == "rust-src") => Ok(()),
        Some(_) => run(Command::new("rustup").args(["component", "add", "rust-src"])),
        None => Ok(()),
    }
}

/// Browser, driver and a software GPU; installs Debian's packages where it may.
pub fn browser(root: &Path, browser: Browser) -> Result<()> {
    installed(root, browser)?;
    driver(root, browser)
}

/// The browser itself, by the system's package manager or npm.
pub fn installed(root: &Path, browser: Browser) -> Result<()> {
    let packages: &[&str] = match browser {
        Browser::Chromium => &["chromium", "chromium-driver"],
        // Debian's brings the libraries that it needs, and the driver.
        Browser::ChromiumWebnn => {
            installed(root, Browser::Chromium)?;
            return webnn(root);
        }
        Browser::Firefox => &["firefox-esr", "mesa-vulkan-drivers"],
    };
    if !browser.is_installed(root) {
        apt(packages)?;
    }
    if !browser.is_installed(root) {
        bail!("{browser} was not found. Type: sudo apt-get install -y {}", packages.join(" "));
    }
    Ok(())
}

/// What the microphone of a browser hears that is driven: the demo's sound, which a script makes.
pub fn microphone(root: &Path) -> Result<()> {
    let script = root.join("webdriver/page/microphone.mjs");
    run(Command::new("node").arg(script).arg(microphone_path(root)))
}

/// Unpacks the Chromium with WebNN below `target/`.
fn webnn(root: &Path) -> Result<()> {
    let home = root.join("target/webnn");
    install(&root.join("webdriver/webnn"), &home)?;
    let version = home.join("node_modules/@sparticuz/chromium/package.json");
    let (stamp, wanted) = (home.join("unpacked.json"), std::fs::read(version)?);
    if webnn_path(root).is_file() && std::fs::read(&stamp).is_ok_and(|unpacked| unpacked == wanted) {
        return Ok(());
    }
    println!("unpacking a Chromium with WebNN into target/webnn");
    let browser = home.join("browser");
    // A folder that is not there is no obstacle.
    let _ = std::fs::remove_dir_all(&browser);
    std::fs::create_dir_all(&browser)?;
    // The package unpacks itself into the folder for temporary files.
    let unpack = "import('@sparticuz/chromium').then((package) => package.default.executablePath())";
    run(Command::new("node").current_dir(&home).env("TMPDIR", &browser).args(["-e", unpack]))?;
    std::fs::write(stamp, wanted).with_context(|| home.display().to_string())
}

/// What drives it: what is built of that takes minutes.
pub fn driver(root: &Path, browser: Browser) -> Result<()> {
    if browser == Browser::Firefox { geckodriver(root) } else { Ok(()) }
}

/// The Vulkan device that the native tests run on.
pub fn vulkan() -> Result<()> {
    let folders = ["/usr/share/vulkan/icd.d", "/etc/vulkan/icd.d"];
    let any = || folders.iter().any(|f| std::fs::read_dir(f).is_ok_and(|mut d| d.next().is_some()));
    let loader = || {
        ["/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib"]
            .iter()
            .any(|f| Path::new(f).join("libvulkan.so.1").exists())
    };
    if cfg!(not(target_os = "linux")) || (any() && loader()) {
        return Ok(());
    }
    apt(&["mesa-vulkan-drivers", "libvulkan1"])
}

fn apt(packages: &[&str]) -> Result<()> {
    let line = format!("apt-get install -y --no-install-recommends {}", packages.join(" "));
    let root = says(Command::new("id").arg("-u")).as_deref() == Some("0");
    if !root || find(&["apt-get"]).is_none() {
        bail!("{} must be installed first. Type: sudo {line}", packages.join(" and "));
    }
    println!("installing {}", packages.join(" "));
    let apt = || {
        let mut command = Command::new("apt-get");
        command.env("DEBIAN_FRONTEND", "noninteractive").arg("-q");
        command
    };
    run(apt().arg("update"))?;
    run(apt().args(["install", "-y", "--no-install-recommends"]).args(packages))
}

/// What fetches over https: its certificates are the system's.
pub fn curl() -> Result<PathBuf> {
    if find(&["curl"]).is_none() {
        apt(&["curl", "ca-certificates"])?;
    }
    find(&["curl"]).context("curl was not found")
}

fn geckodriver(root: &Path) -> Result<()> {
    if geckodriver_path(root).is_file() { Ok(()) } else { tool(root, "geckodriver", "geckodriver", GECKODRIVER) }
}

/// wasm-pack, and beside it the wasm-bindgen that it looks for: of the version that the crate is linked with.
pub fn wasm_pack(root: &Path) -> Result<()> {
    tool(root, "wasm-pack", "wasm-pack", WASM_PACK)?;
    let lock = std::fs::read_to_string(root.join("Cargo.lock"))?;
    let version = lock.split("name = \"wasm-bindgen\"\nversion = \"").nth(1).and_then(|rest| rest.split('"').next());
    tool(root, "wasm-bindgen", "wasm-bindgen-cli", version.context("Cargo.lock names no wasm-bindgen")?)
}

/// cargo-deny, which takes minutes to build.
pub fn deny(root: &Path) -> Result<PathBuf> {
    tool(root, "cargo-deny", "cargo-deny", DENY)?;
    Ok(tools(root).join("bin/cargo-deny"))
}

/// The same where it was built before.
pub fn denies(root: &Path) -> Option<PathBuf> {
    Some(tools(root).join("bin/cargo-deny")).filter(|path| path.is_file())
}

/// Builds `package` at `version` into `target/tools`, where its `binary` is not there already. Unoptimised, which takes
/// half the time: what these tools do is little.
fn tool(root: &Path, binary: &str, package: &str, version: &str) -> Result<()> {
    let there = says(Command::new(tools(root).join("bin").join(binary)).arg("--version"));
    if there.is_some_and(|says| says.split_whitespace().any(|word| word == version)) {
        return Ok(());
    }
    println!("installing {package} {version} into target/tools");
    let install = |locked: &[&str]| {
        let mut command = Command::new(cargo());
        command.current_dir(root).env("CARGO_PROFILE_DEV_DEBUG", "0");
        command.args(["install", "--quiet", "--debug", "--force", "-j2", "--root"]).arg(tools(root));
        run(command.args(locked).arg(format!("{package}@{version}")))
    };
    // A registry mirror may lack one of the locked versions: newer ones do as well.
    install(&["--locked"]).or_else(|_| install(&[]))
}

/// Where npm's packages are: binaryen for the build, d3 and Plot for the page, pinned by a lock file.
pub fn npm_packages(root: &Path) -> PathBuf {
    root.join("target/npm/node_modules")
}

/// Where the peers are, which only `cargo peers` needs.
pub fn peers(root: &Path) -> PathBuf {
    root.join("target/peers")
}

/// Installs the npm packages of the build and of the page.
pub fn npm(root: &Path) -> Result<()> {
    install(&root.join("webdriver/npm"), &root.join("target/npm"))
}

/// Installs what `cargo peers` compares with.
pub fn npm_peers(root: &Path) -> Result<()> {
    install(&root.join("webdriver/peers"), &peers(root))
}

/// Installs what `from` names into `home`, where the lock file is not the one that it was installed from.
pub fn install(from: &Path, home: &Path) -> Result<()> {
    let wanted = std::fs::read(from.join("package-lock.json"))?;
    let stamp = home.join("installed.json");
    if std::fs::read(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    if find(&["npm"]).is_none() || find(&["node"]).is_none() {
        bail!("node and npm must be installed first. Type: sudo apt-get install -y nodejs npm");
    }
    std::fs::create_dir_all(home)?;
    for file in ["package.json", "package-lock.json"] {
        std::fs::copy(from.join(file), home.join(file)).with_context(|| file.to_owned())?;
    }
    run(Command::new("npm").current_dir(home).args(["ci", "--no-audit", "--no-fund", "--loglevel=error"]))?;
    std::fs::write(stamp, wanted).with_context(|| home.display().to_string())
}
