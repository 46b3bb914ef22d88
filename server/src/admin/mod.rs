//! Commands of operators: configuration, state, documentation, stopping. They see everything that is shared, may wait, and
//! never travel in a log entry.
//!
//! | module | what it holds |
//! |---|---|
//! | [`answer`] | from a handler that does not wait to an encoded reply |
//! | [`config`] | CONFIG |
//! | [`introspect`] | COMMAND |
//! | [`info`] | INFO |
//! | [`replicas`] | the other voters, as INFO, ROLE and WAIT tell of them |
//! | [`replication`] | ROLE, WAIT |
//! | [`server`] | TIME, LASTSAVE, SHUTDOWN, LOLWUT |
//! | [`debug`] | DEBUG |
//! | [`process`] | what the operating system says of this process |

pub mod answer;
pub mod config;
pub mod debug;
pub mod info;
pub mod introspect;
pub mod process;
pub mod replicas;
pub mod replication;
pub mod server;

use std::sync::Arc;

use crate::config::Config;
use crate::dispatch::{AdminCommand, Shared};

/// The tables of admin commands.
pub static FAMILIES: [&[AdminCommand]; 6] = [
    config::COMMANDS,
    introspect::COMMANDS,
    info::COMMANDS,
    replication::COMMANDS,
    server::COMMANDS,
    debug::COMMANDS,
];

/// Lets CONFIG SET take effect in the running Store.
pub fn install_hooks(shared: &Arc<Shared>) {
    let dataset = Arc::clone(shared.machine.dataset());
    shared.config.on_set("maxmemory", move |settings| {
        dataset.write().set_maxmemory(settings.maxmemory_bytes);
        Ok(())
    });
    keep_appendfsync(&shared.config);
}

/// The engines are opened for one of its modes, so only the mode in force may be set.
fn keep_appendfsync(config: &Config) {
    let in_force = config.load().appendfsync;
    config.on_set("appendfsync", move |settings| {
        if settings.appendfsync == in_force {
            Ok(())
        } else {
            Err("a running server cannot change it: set it in the file or on the command line, and restart".to_owned())
        }
    });
}
