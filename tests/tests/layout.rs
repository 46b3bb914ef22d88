//! The layout that ARCHITECTURE.md promises: what lies where, how large a file may grow, which way dependencies point.

use std::fs;
use std::path::{Path, PathBuf};

/// What may lie in the top folder, besides hidden entries and what a build or a server leaves behind.
const TOP: &[&str] = &[
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "LICENSE",
    "README.md",
    "benches",
    "docs",
    "resp",
    "server",
    "storage",
    "tests",
    "tinykv.conf",
];
const GENERATED: &[&str] = &["target", "data"];

/// Lines beyond which a file is split.
const MAX_LINES: usize = 900;

/// Marks of unfinished work, in two parts so that this file does not hold them.
const MARKS: &[(&str, &str)] = &[
    ("TO", "DO"),
    ("FIX", "ME"),
    ("HA", "CK:"),
    ("todo", "!("),
    ("unimplemented", "!("),
    ("#[ig", "nore"),
    ("allow(dead", "_code)"),
    ("dbg", "!("),
];

/// A folder of the server, and what it may not use: dependencies point from the wiring to the data, never back.
const ARROWS: &[(&str, &[&str])] = &[
    (
        "server/src/commands",
        &[
            "net",
            "session",
            "dispatch",
            "admin",
            "machine",
            "raftstore",
            "transport",
            "config",
        ],
    ),
    (
        "server/src/machine",
        &[
            "net",
            "session",
            "dispatch",
            "admin",
            "raftstore",
            "transport",
        ],
    ),
    (
        "server/src/raftstore",
        &[
            "net",
            "session",
            "dispatch",
            "admin",
            "commands",
            "transport",
        ],
    ),
    (
        "server/src/transport",
        &["net", "session", "dispatch", "admin", "commands", "machine"],
    ),
    (
        "server/src/config",
        &[
            "net",
            "session",
            "dispatch",
            "admin",
            "commands",
            "machine",
            "raftstore",
            "transport",
        ],
    ),
    ("server/src/dispatch", &["net"]),
    (
        "server/src/session",
        &["net", "admin", "raftstore", "transport"],
    ),
    ("server/src/admin", &["net"]),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a workspace")
        .to_path_buf()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path
                .file_name()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            if path.is_dir() && !GENERATED.contains(&name.as_str()) && name != "node_modules" {
                folders.push(path);
            } else if name.ends_with(".rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// All our Rust files with their text, by their path from the top.
fn all() -> Vec<(String, String)> {
    let root = root();
    let files: Vec<_> = ["resp", "storage", "server", "tests", "benches"]
        .iter()
        .flat_map(|member| sources(&root.join(member)))
        .map(|path| {
            let text = fs::read_to_string(&path).expect("text");
            let name = path
                .strip_prefix(&root)
                .expect("below the top")
                .display()
                .to_string();
            (name, text)
        })
        .collect();
    assert!(files.len() > 100, "only {} files were seen", files.len());
    files
}

#[test]
fn the_top_folder_holds_what_it_should() {
    for entry in fs::read_dir(root()).expect("the top folder") {
        let name = entry
            .expect("an entry")
            .file_name()
            .to_string_lossy()
            .into_owned();
        let known = TOP.contains(&name.as_str()) || GENERATED.contains(&name.as_str());
        assert!(
            known || name.starts_with('.') || name.ends_with(".log"),
            "{name} does not belong in the top folder"
        );
    }
}

#[test]
fn no_file_is_too_long() {
    for (name, text) in all() {
        let lines = text.lines().count();
        assert!(lines <= MAX_LINES, "{name} has {lines} lines: split it");
    }
}

#[test]
fn nothing_is_left_half_done() {
    for (name, text) in all() {
        for (first, second) in MARKS {
            let mark = format!("{first}{second}");
            assert!(!text.contains(&mark), "{name} contains {mark}");
        }
    }
}

#[test]
fn dependencies_point_one_way() {
    for (folder, forbidden) in ARROWS {
        let within = all()
            .into_iter()
            .filter(|(name, _)| name.starts_with(&format!("{folder}/")));
        for (name, text) in within {
            // Tests may look wherever they like.
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for module in *forbidden {
                let used = [
                    format!("crate::{module}::"),
                    format!("crate::{module};"),
                    format!("crate::{module}"),
                ]
                .iter()
                .any(|path| {
                    code.match_indices(path.as_str()).any(|(at, _)| {
                        !code[at + path.len()..]
                            .starts_with(|next: char| next.is_alphanumeric() || next == '_')
                    })
                });
                assert!(!used, "{name} uses {module}, which is above it");
            }
        }
    }
}

#[test]
fn resp_and_storage_do_not_know_the_rest() {
    let root = root();
    for (member, strangers) in [
        ("resp", &["storage", "server"][..]),
        ("storage", &["resp", "server", "tokio"][..]),
    ] {
        let manifest =
            fs::read_to_string(root.join(member).join("Cargo.toml")).expect("a manifest");
        for stranger in strangers {
            let named = manifest.lines().any(|line| {
                line.starts_with(&format!("{stranger}."))
                    || line.starts_with(&format!("{stranger} "))
            });
            assert!(!named, "{member} depends on {stranger}");
        }
    }
}
