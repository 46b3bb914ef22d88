//! Every dependency is licensed permissively.

use std::collections::HashSet;
use std::process::Command;

use serde_json::Value;

/// Licences that ask for no more than to be named.
const PERMISSIVE: &[&str] = &[
    "0BSD",
    "Apache-2.0",
    "Apache-2.0 WITH LLVM-exception",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "BSL-1.0",
    "ISC",
    "MIT",
    "Unicode-3.0",
    "Unlicense",
    "Zlib",
];

/// True for an SPDX expression that can be satisfied with permissive licences alone. `/` is the old form of OR; nested
/// parentheses do not occur, and would be refused.
fn is_permissive(expression: &str) -> bool {
    expression.split(" AND ").all(|term| {
        let term = term.trim().trim_start_matches('(').trim_end_matches(')');
        term.replace('/', " OR ")
            .split(" OR ")
            .any(|licence| PERMISSIVE.contains(&licence.trim()))
    })
}

fn metadata() -> Value {
    let host = env!("CARGO_MANIFEST_DIR");
    let platform = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", &platform])
        .current_dir(host)
        .output()
        .expect("cargo runs");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo prints JSON")
}

#[test]
fn every_dependency_is_permissive() {
    let metadata = metadata();
    let used: HashSet<&str> = metadata["resolve"]["nodes"]
        .as_array()
        .expect("nodes")
        .iter()
        .filter_map(|node| node["id"].as_str())
        .collect();
    assert!(used.len() > 50, "only {} packages were seen", used.len());
    let refused: Vec<String> = metadata["packages"]
        .as_array()
        .expect("packages")
        .iter()
        .filter(|package| package["id"].as_str().is_some_and(|id| used.contains(id)))
        .filter(|package| !package["license"].as_str().is_some_and(is_permissive))
        .map(|package| {
            format!(
                "{} {}: {}",
                package["name"], package["version"], package["license"]
            )
        })
        .collect();
    assert!(refused.is_empty(), "not permissive: {refused:#?}");
}

#[test]
fn expressions_are_understood() {
    for good in [
        "MIT",
        "MIT/Apache-2.0",
        "GPL-2.0-only OR MIT",
        "(MIT OR Apache-2.0) AND Unicode-3.0",
    ] {
        assert!(is_permissive(good), "{good}");
    }
    for bad in [
        "GPL-3.0",
        "MIT AND LGPL-2.1",
        "MPL-2.0",
        "",
        "(MIT OR Apache-2.0) AND SSPL-1.0",
    ] {
        assert!(!is_permissive(bad), "{bad}");
    }
}
