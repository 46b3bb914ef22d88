//! What a change would come to: the answer of RAFT.NODE REMOVE and RAFT.TRANSFER_LEADER with DRYRUN, which change nothing.

use storage::ids::StoreId;

use crate::commands::args::Args;
use crate::commands::error::{CommandError, CommandResult};
use crate::dispatch::Shared;
use crate::raftstore::{Role, Status};

/// Takes the word at the end.
pub(super) fn is_asked(args: &mut Args<'_>) -> bool {
    args.flag("DRYRUN")
}

/// Voters, and whom of them this Store can reach.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Outlook {
    voters: Vec<(StoreId, bool)>,
}

impl Outlook {
    /// As of now: as the leader knows it, or as the links of another Store show it.
    pub(super) fn of(shared: &Shared) -> Self {
        let status = shared.router.status();
        let own = shared.store;
        let links = shared.transport().map(|transport| transport.links());
        let links = links.unwrap_or_default();
        let answers = |store: StoreId| match status.role {
            _ if store == own => true,
            Role::Leader => status
                .peers
                .iter()
                .any(|peer| peer.store == store && peer.active),
            _ => links
                .iter()
                .any(|link| link.store == store && link.connected),
        };
        let voters = status.members.list.iter().filter(|member| member.voter);
        Self {
            voters: voters
                .map(|member| (member.store, answers(member.store)))
                .collect(),
        }
    }

    fn without(&self, store: StoreId) -> Self {
        let voters = self.voters.iter().filter(|(voter, _)| *voter != store);
        Self {
            voters: voters.copied().collect(),
        }
    }

    fn answering(&self) -> usize {
        self.voters.iter().filter(|(_, answers)| *answers).count()
    }

    fn majority(&self) -> usize {
        self.voters.len() / 2 + 1
    }

    /// Whether writes can go on.
    pub(super) fn goes_on(&self) -> bool {
        self.answering() >= self.majority()
    }

    fn text(&self) -> String {
        let (answering, majority) = (self.answering(), self.majority());
        let ids: Vec<String> = self
            .voters
            .iter()
            .map(|(store, _)| store.to_string())
            .collect();
        let then = match answering.checked_sub(majority) {
            None => "writes stop".to_owned(),
            Some(spare) => format!("{spare} more may fail"),
        };
        format!(
            "{} voters (nodes {}), {answering} of them answer, a majority is {majority}: {then}",
            self.voters.len(),
            ids.join(", ")
        )
    }
}

/// What the removal of a node comes to.
pub(super) fn of_removal(shared: &Shared, store: StoreId) -> CommandResult<String> {
    let status = shared.router.status();
    let Some(member) = status.members.get(store) else {
        return Err(CommandError::reply(format!(
            "ERR node {store} is not a member of this cluster"
        )));
    };
    let now = Outlook::of(shared);
    let then = now.without(store);
    let verdict = match &status {
        status if status.leader.is_none() => "Now it would be refused: nobody leads.".to_owned(),
        _ if !member.voter => "It has no vote: nothing changes for the others.".to_owned(),
        _ if !then.goes_on() => {
            "It would be refused: bring a node back, or add one, before.".to_owned()
        }
        status if status.leader == Some(store) => {
            "It leads, and would hand over first: for some milliseconds commands wait.".to_owned()
        }
        _ => "It would be done.".to_owned(),
    };
    Ok(format!(
        "Before: {}.\nAfter the removal of node {store}: {}.\n{verdict}\n",
        now.text(),
        then.text()
    ))
}

/// Refuses what would stop writes. The leader looks itself, but it is about to hand over for this.
pub(super) fn check_removal(shared: &Shared, store: StoreId) -> CommandResult {
    let then = Outlook::of(shared).without(store);
    if then.goes_on() {
        return Ok(());
    }
    Err(CommandError::reply(format!(
        "ERR writes would stop: {}. Bring a node back, or add one, before",
        then.text()
    )))
}

/// What it comes to that a node takes over.
pub(super) fn of_transfer(shared: &Shared, status: &Status, to: StoreId) -> String {
    let now = Outlook::of(shared);
    let answers = now.voters.contains(&(to, true));
    let verdict = match status.leader {
        None => "Now it would fail: nobody leads.".to_owned(),
        Some(leader) if leader == to => format!("Node {to} leads already."),
        Some(leader) if !answers => {
            format!("It would fail: node {to} does not answer, and node {leader} goes on leading.")
        }
        Some(leader) => format!(
            "Node {to} would take over from node {leader}: for some milliseconds commands wait."
        ),
    };
    format!("Now: {}.\n{verdict}\n", now.text())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outlook(voters: &[(u64, bool)]) -> Outlook {
        let voters = voters
            .iter()
            .map(|&(store, answers)| (StoreId(store), answers));
        Outlook {
            voters: voters.collect(),
        }
    }

    #[test]
    fn majorities_before_and_after() {
        let three = outlook(&[(1, true), (2, true), (3, false)]);
        assert!(three.goes_on());
        assert_eq!(
            three.text(),
            "3 voters (nodes 1, 2, 3), 2 of them answer, a majority is 2: 0 more may fail"
        );
        assert!(three.without(StoreId(3)).goes_on());
        let stopped = three.without(StoreId(1));
        assert!(!stopped.goes_on());
        assert_eq!(
            stopped.text(),
            "2 voters (nodes 2, 3), 1 of them answer, a majority is 2: writes stop"
        );
    }
}
