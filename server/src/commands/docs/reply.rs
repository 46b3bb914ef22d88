//! The replies of COMMAND INFO and COMMAND DOCS, for commands of any kind of handler.

use resp::Writer;

use super::{Argument, Doc, KeySpec, of};
use crate::commands::spec::{Command, Flags, Spec};

/// All ACL categories in the order in which Redis tells them.
const CATEGORIES: [&str; 21] = [
    "@keyspace",
    "@read",
    "@write",
    "@set",
    "@sortedset",
    "@list",
    "@hash",
    "@string",
    "@bitmap",
    "@hyperloglog",
    "@geo",
    "@stream",
    "@pubsub",
    "@admin",
    "@fast",
    "@slow",
    "@blocking",
    "@dangerous",
    "@connection",
    "@transaction",
    "@scripting",
];

/// The ACL categories of a command: those of its documentation, and those that follow from its flags.
pub fn categories(spec: &Spec) -> impl Iterator<Item = &'static str> {
    let own = of(spec.name).map_or(&[][..], |doc| doc.categories);
    let flags = spec.flags;
    let follows = move |category: &str| match category {
        "@write" => flags.has(Flags::WRITE),
        "@read" => flags.has(Flags::READONLY) && !own.contains(&"@scripting"),
        "@admin" | "@dangerous" => flags.has(Flags::ADMIN),
        "@pubsub" => flags.has(Flags::PUBSUB),
        "@fast" => flags.has(Flags::FAST),
        "@slow" => !flags.has(Flags::FAST),
        "@blocking" => flags.has(Flags::BLOCKING),
        _ => false,
    };
    CATEGORIES
        .into_iter()
        .filter(move |category| own.contains(category) || follows(category))
}

/// One element of COMMAND INFO's reply: ten fields, the last its subcommands in the same form.
pub fn write_info<H: Copy>(command: &Command<H>, out: &mut Writer<'_>) {
    let spec = &command.spec;
    let doc = of(spec.name);
    out.array(10);
    out.bulk(spec.name.as_bytes());
    out.integer(spec.arity.into());
    write_words(spec.flags.names(), out);
    out.integer(spec.keys.first.into());
    out.integer(spec.keys.last.into());
    out.integer(spec.keys.step.into());
    write_words(categories(spec), out);
    let tips = doc.map_or(&[][..], |doc| doc.tips);
    out.set(tips.len());
    for tip in tips {
        out.bulk(tip.as_bytes());
    }
    let keys = doc.map_or(&[][..], |doc| doc.keys);
    out.set(keys.len());
    for key in keys {
        write_key_spec(key, out);
    }
    match command.subcommands.len() {
        // Redis's own inconsistency, which RESP3 shows.
        0 => out.set(0),
        count => out.array(count),
    }
    for subcommand in command.subcommands {
        write_info(subcommand, out);
    }
}

fn write_words(words: impl Iterator<Item = &'static str>, out: &mut Writer<'_>) {
    let start = out.mark();
    let mut count = 0;
    for word in words {
        out.simple(word);
        count += 1;
    }
    out.set_since(start, count);
}

fn write_key_spec(key: &KeySpec, out: &mut Writer<'_>) {
    out.map(3 + usize::from(key.notes.is_some()));
    if let Some(notes) = key.notes {
        write_text("notes", notes, out);
    }
    out.bulk(b"flags");
    write_words(key.flags.iter().copied(), out);
    if key.unknown {
        for step in ["begin_search", "find_keys"] {
            out.bulk(step.as_bytes());
            write_search("unknown", &[], out);
        }
        return;
    }
    out.bulk(b"begin_search");
    match key.keyword {
        Some(keyword) => {
            out.map(2);
            write_text("type", "keyword", out);
            out.bulk(b"spec");
            out.map(2);
            write_text("keyword", keyword, out);
            out.bulk(b"startfrom");
            out.integer(key.index.into());
        }
        None => write_search("index", &[("index", key.index)], out),
    }
    out.bulk(b"find_keys");
    if key.counted {
        write_search(
            "keynum",
            &[("keynumidx", 0), ("firstkey", 1), ("keystep", key.step)],
            out,
        );
        return;
    }
    write_search(
        "range",
        &[
            ("lastkey", key.last),
            ("keystep", key.step),
            // One half of what follows.
            ("limit", if key.is_half() { 2 } else { 0 }),
        ],
        out,
    );
}

fn write_search(kind: &str, numbers: &[(&str, i32)], out: &mut Writer<'_>) {
    out.map(2);
    write_text("type", kind, out);
    out.bulk(b"spec");
    out.map(numbers.len());
    for (name, number) in numbers {
        out.bulk(name.as_bytes());
        out.integer((*number).into());
    }
}

fn write_text(name: &str, text: &str, out: &mut Writer<'_>) {
    out.bulk(name.as_bytes());
    out.bulk(text.as_bytes());
}

/// One value of COMMAND DOCS's map: the documentation of a command, with that of its subcommands.
pub fn write_docs<H: Copy>(command: &Command<H>, out: &mut Writer<'_>) {
    let start = out.mark();
    let doc = of(command.spec.name);
    let mut fields = doc.map_or(0, |doc| write_summary(doc, out));
    write_text("group", command.spec.group.name(), out);
    fields += 1;
    fields += doc.map_or(0, |doc| write_details(doc, out));
    if !command.subcommands.is_empty() {
        out.bulk(b"subcommands");
        out.map(command.subcommands.len());
        for subcommand in command.subcommands {
            out.bulk(subcommand.spec.name.as_bytes());
            write_docs(subcommand, out);
        }
        fields += 1;
    }
    out.map_since(start, fields);
}

/// What comes before the group; answers how many fields.
fn write_summary(doc: &Doc, out: &mut Writer<'_>) -> usize {
    write_text("summary", doc.summary, out);
    write_text("since", doc.since, out);
    2
}

/// What comes after the group; answers how many fields.
fn write_details(doc: &Doc, out: &mut Writer<'_>) -> usize {
    let mut fields = 0;
    if let Some(complexity) = doc.complexity {
        write_text("complexity", complexity, out);
        fields += 1;
    }
    if doc.system || doc.deprecated.is_some() {
        out.bulk(b"doc_flags");
        let flags = [
            (doc.deprecated.is_some(), "deprecated"),
            (doc.system, "syscmd"),
        ];
        write_words(
            flags
                .into_iter()
                .filter(|(set, _)| *set)
                .map(|(_, word)| word),
            out,
        );
        fields += 1;
    }
    if let Some((since, replaced_by)) = doc.deprecated {
        write_text("deprecated_since", since, out);
        write_text("replaced_by", replaced_by, out);
        fields += 2;
    }
    if !doc.arguments.is_empty() {
        out.bulk(b"arguments");
        write_arguments(doc.arguments, out);
        fields += 1;
    }
    fields
}

fn write_arguments(arguments: &[Argument], out: &mut Writer<'_>) {
    out.array(arguments.len());
    for argument in arguments {
        write_argument(argument, out);
    }
}

fn write_argument(argument: &Argument, out: &mut Writer<'_>) {
    let start = out.mark();
    let mut fields = 0;
    let mut text = |name: &str, text: Option<&str>, out: &mut Writer<'_>| {
        if let Some(text) = text {
            write_text(name, text, out);
            fields += 1;
        }
    };
    text("name", Some(argument.name), out);
    text("type", Some(argument.kind.name()), out);
    let nested = argument.nested();
    let shown_as = argument
        .shown_as
        .or(nested.is_empty().then_some(argument.name));
    text("display_text", shown_as, out);
    if let Some(spec) = argument.key_spec() {
        out.bulk(b"key_spec_index");
        out.integer(spec as i64);
    }
    text("token", argument.token, out);
    text("since", argument.since, out);
    text("deprecated_since", argument.deprecated_since, out);
    fields += usize::from(argument.key_spec().is_some());
    let flags = [
        (argument.optional, "optional"),
        (argument.multiple, "multiple"),
        (argument.token_each, "multiple_token"),
    ];
    if flags.iter().any(|(set, _)| *set) {
        out.bulk(b"flags");
        write_words(
            flags
                .into_iter()
                .filter(|(set, _)| *set)
                .map(|(_, word)| word),
            out,
        );
        fields += 1;
    }
    if !nested.is_empty() {
        out.bulk(b"arguments");
        write_arguments(nested, out);
        fields += 1;
    }
    out.map_since(start, fields);
}
