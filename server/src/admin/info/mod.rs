//! INFO: which sections a caller asked for, and their text.

pub mod facts;
pub mod gather;
mod redisraft;
pub mod sections;
pub mod text;

use resp::Writer;

use super::answer::now;
use crate::commands::args::Args;
use crate::commands::error::CommandResult;
use crate::commands::spec::{Flags, Group};
use crate::dispatch::{AdminCall, AdminCommand, Shared};
use facts::Facts;
use sections::{SECTIONS, Section};
use text::Text;

/// The family.
pub static COMMANDS: &[AdminCommand] =
    &[
        AdminCommand::new("info", -1, Group::Server, |call| now(call, info))
            .flags(Flags::LOADING.with(Flags::STALE)),
    ];

/// INFO [section ...]
fn info(call: &AdminCall, args: &mut Args<'_>, out: &mut Writer<'_>) -> CommandResult {
    let wanted = args
        .rest()
        .iter()
        .map(|name| String::from_utf8_lossy(name))
        .collect::<Vec<_>>();
    let wanted = wanted.iter().map(AsRef::as_ref).collect::<Vec<&str>>();
    out.verbatim("txt", of(&call.shared, &wanted).as_bytes());
    Ok(())
}

/// The text of INFO with these arguments, as of now.
pub fn of(shared: &Shared, wanted: &[&str]) -> String {
    render(&gather::facts(shared), wanted)
}

/// The text of INFO with these arguments; none means the default sections. Names that no section has are passed over.
pub fn render(facts: &Facts, wanted: &[&str]) -> String {
    let mut text = Text::default();
    for section in SECTIONS.iter().filter(|section| is_wanted(section, wanted)) {
        text.section(section.title);
        (section.write)(facts, &mut text);
    }
    text.finish()
}

fn is_wanted(section: &Section, wanted: &[&str]) -> bool {
    if wanted.is_empty() {
        return section.is_default;
    }
    wanted
        .iter()
        .any(|name| match name.to_ascii_lowercase().as_str() {
            "all" => section.name != "modules",
            "everything" => true,
            "default" => section.is_default,
            name => name == section.name,
        })
}

#[cfg(test)]
mod tests;
