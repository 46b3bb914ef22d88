//! The text of `tinykv.conf` and of `--help`, made from the table.

use std::fmt::Write as _;

use super::directives::{self, Directive, SECTIONS};

/// Where comment lines break.
const WIDTH: usize = 100;

const HEADING: &str = "\
# TinyKV's configuration: every directive, with its default.
#
#     tinykv-server /path/to/tinykv.conf
#     tinykv-server /path/to/tinykv.conf --port 7001 --loglevel verbose
#
# Directives on the command line win over the file, and later lines over earlier ones. The syntax is that of redis.conf:
# a name and its values, in quotes when they contain blanks; \"include /path/to/other.conf\" reads another file here.
# Sizes: 1k is 1000 bytes, 1kb is 1024 bytes, and so on with m, mb, g, gb. Case does not matter.
#
# Made from the server's table of directives: tinykv-server --default-config prints it.
";

/// The text of `tinykv.conf`.
pub fn default_config() -> String {
    let mut text = HEADING.to_owned();
    for section in SECTIONS {
        let _ = write!(text, "\n\n# ---- {} ----\n", section.title);
        for row in section.rows {
            text.push('\n');
            comment(&mut text, row.doc);
            comment(&mut text, notes(row));
            let _ = writeln!(text, "{} {}", row.name, row.default);
        }
    }
    text
}

fn notes(row: &Directive) -> &'static str {
    match (row.is_mutable(), row.of_redis) {
        (true, true) => "[CONFIG SET changes it]",
        (false, true) => "[a restart changes it]",
        (true, false) => "[TinyKV's own; CONFIG SET changes it]",
        (false, false) => "[TinyKV's own; a restart changes it]",
    }
}

fn comment(text: &mut String, sentences: &str) {
    text.push('#');
    let mut width = 1;
    for word in sentences.split(' ') {
        if width + 1 + word.len() > WIDTH {
            text.push_str("\n#");
            width = 1;
        }
        text.push(' ');
        text.push_str(word);
        width += 1 + word.len();
    }
    text.push('\n');
}

/// The text of `--help`.
pub fn usage() -> String {
    let mut text = "\
TinyKV, a Redis server whose acknowledged writes are never lost.

Usage: tinykv-server [/path/to/tinykv.conf] [--name value...]... [-]
       tinykv-server -                  read directives from standard input
       tinykv-server --default-config   print a configuration file with every directive explained
       tinykv-server -v | --version
       tinykv-server -h | --help

A single node needs no configuration; its data is in ./data. Three nodes on one machine:

  for i in 1 2 3; do tinykv-server --node-id $i --port 700$i --dir data/$i --cluster-secret change-me \\
    --cluster-peers 1@127.0.0.1:7001,2@127.0.0.1:7002,3@127.0.0.1:7003 & done

Directives and their defaults:
"
    .to_owned();
    for row in directives::all() {
        let _ = writeln!(text, "  --{:28} {}", row.name, row.default);
    }
    text
}
