//! Fields of INFO raft by the names that RedisRaft's users know, besides those that bear them anyway. RAFT.INFO gives all
//! without `raft_` in front.

use super::facts::Facts;
use super::text::Text;

/// Writes them.
pub(super) fn fields(facts: &Facts, text: &mut Text) {
    let (raft, own) = (&facts.raft, facts.store_id);
    let members = &raft.members;
    let state = match facts.persistence.is_loading {
        // It does not know yet to whom it belongs.
        _ if members.list.is_empty() => "joining",
        true => "loading",
        false => "up",
    };
    text.field("raft_state", state);
    let is_voter = members.get(own).is_some_and(|member| member.voter);
    text.field("raft_is_voting", yes(is_voter));
    text.field("raft_current_term", raft.term);
    text.field("raft_num_nodes", members.list.len());
    text.field("raft_num_voting_nodes", raft.voters);
    let entries = (raft.last_index.get() + 1).saturating_sub(raft.first_index.get());
    text.field("raft_log_entries", entries);
    text.field("raft_current_index", raft.last_index);
    text.field("raft_last_applied_index", raft.applied_index);
    let others = members.list.iter().filter(|member| member.store != own);
    for (number, member) in (1..).zip(others) {
        let link = facts.links.iter().find(|link| link.store == member.store);
        let is_connected = link.is_some_and(|link| link.connected);
        let since = link.and_then(|link| link.last_dial_ok);
        let since = since.map_or(-1, |since| since.as_secs() as i64);
        let value = format!(
            "id={},state={},voting={},addr={},port={},last_conn_secs={since},conn_errors={},conn_oks={}",
            member.store,
            if is_connected {
                "connected"
            } else {
                "disconnected"
            },
            yes(member.voter),
            member.host,
            member.port,
            link.map_or(0, |link| link.dials_failed),
            link.map_or(0, |link| link.dials_ok),
        );
        text.field(&format!("raft_node{number}"), value);
    }
}

fn yes(is_so: bool) -> &'static str {
    if is_so { "yes" } else { "no" }
}
