//! Values with a form of their own: how their words are read and printed.

use super::kind;
use super::settings::{Limit, OutputLimits, Settings};

pub(super) fn set_bind(settings: &mut Settings, words: &[String]) -> Result<(), String> {
    if words.iter().all(|word| word.is_empty()) {
        return Err("bind needs at least one address; * is every address".to_owned());
    }
    settings.bind = words
        .iter()
        .filter(|word| !word.is_empty())
        .cloned()
        .collect();
    Ok(())
}

pub(super) fn set_dir(settings: &mut Settings, value: &str) -> Result<(), String> {
    if value.is_empty() {
        return Err("dir must name a directory".to_owned());
    }
    settings.dir = value.into();
    Ok(())
}

pub(super) fn set_dbfilename(settings: &mut Settings, value: &str) -> Result<(), String> {
    let path = std::path::Path::new(value);
    if value.is_empty() || path.file_name() != Some(path.as_os_str()) {
        return Err("dbfilename can't be a path, just a filename".to_owned());
    }
    settings.dbfilename = value.to_owned();
    Ok(())
}

pub(super) fn get_save(settings: &Settings) -> String {
    settings
        .save
        .iter()
        .map(|(seconds, changes)| format!("{seconds} {changes}"))
        .collect::<Vec<_>>()
        .join(" ")
}

pub(super) fn set_save(settings: &mut Settings, words: &[String]) -> Result<(), String> {
    let wrong = || "Invalid save parameters".to_owned();
    let words = words
        .iter()
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>();
    let (pairs, []) = words.as_chunks::<2>() else {
        return Err(wrong());
    };
    let pair = |[seconds, changes]: &[&String; 2]| {
        let seconds = seconds.parse::<u64>().ok().filter(|seconds| *seconds >= 1);
        seconds.zip(changes.parse::<u64>().ok()).ok_or_else(wrong)
    };
    settings.save = pairs.iter().map(pair).collect::<Result<_, _>>()?;
    Ok(())
}

/// As Redis prints them: bytes, and the class replica under its old name.
pub(super) fn get_output_limits(settings: &Settings) -> String {
    let limits = &settings.client_output_buffer_limit;
    let class = |name: &str, limit: &Limit| {
        format!(
            "{name} {} {} {}",
            limit.hard_bytes, limit.soft_bytes, limit.soft_seconds
        )
    };
    [
        class("normal", &limits.normal),
        class("slave", &limits.replica),
        class("pubsub", &limits.pubsub),
    ]
    .join(" ")
}

/// Groups of class, hard limit, soft limit, soft seconds; classes that are not named stay as they are.
pub(super) fn set_output_limits(settings: &mut Settings, words: &[String]) -> Result<(), String> {
    let (groups, []) = words.as_chunks::<4>() else {
        return Err("Wrong number of arguments in buffer limit configuration.".to_owned());
    };
    let mut limits: OutputLimits = settings.client_output_buffer_limit;
    for [class, hard, soft, seconds] in groups {
        let target = match class.to_ascii_lowercase().as_str() {
            "normal" => &mut limits.normal,
            "replica" | "slave" => &mut limits.replica,
            "pubsub" => &mut limits.pubsub,
            _ => {
                return Err(
                    "Invalid client class specified in buffer limit configuration.".to_owned(),
                );
            }
        };
        let parsed = kind::memory_bytes(hard)
            .zip(kind::memory_bytes(soft))
            .zip(seconds.parse::<u64>().ok());
        let Some(((hard_bytes, soft_bytes), soft_seconds)) = parsed else {
            return Err(
                "Error in hard, soft or soft_seconds setting in buffer limit configuration."
                    .to_owned(),
            );
        };
        *target = Limit {
            hard_bytes,
            soft_bytes,
            soft_seconds,
        };
    }
    settings.client_output_buffer_limit = limits;
    Ok(())
}
