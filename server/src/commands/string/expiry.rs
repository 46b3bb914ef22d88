//! EX, PX, EXAT, PXAT and their like.

use super::super::args::Args;
use super::super::error::{CommandError, CommandResult};

/// How a time of expiry was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) enum Unit {
    /// Seconds from now.
    Seconds,
    /// Milliseconds from now.
    Millis,
    /// Seconds of Unix time.
    AtSeconds,
    /// Milliseconds of Unix time.
    AtMillis,
}

impl Unit {
    /// Takes EX, PX, EXAT or PXAT if it is next.
    pub(in crate::commands) fn take(args: &mut Args<'_>) -> Option<Self> {
        let units = [
            ("EX", Self::Seconds),
            ("PX", Self::Millis),
            ("EXAT", Self::AtSeconds),
            ("PXAT", Self::AtMillis),
        ];
        units
            .into_iter()
            .find(|(word, _)| args.flag(word))
            .map(|(_, unit)| unit)
    }

    /// Takes the value after the word. The same unit may be told again, and the last one counts; another may not.
    pub(in crate::commands) fn value<'a>(
        self,
        args: &mut Args<'a>,
        told: Option<(&'a [u8], Self)>,
    ) -> CommandResult<&'a [u8]> {
        if told.is_some_and(|(_, unit)| unit != self) {
            return Err(CommandError::SYNTAX);
        }
        args.bytes()
    }
}

/// The time in milliseconds of Unix time. Not positive, or too far away to be told: refused in the name of `command`.
pub(in crate::commands) fn absolute_ms(
    value: i64,
    unit: Unit,
    now_ms: u64,
    command: &str,
) -> CommandResult<u64> {
    let base = match unit {
        Unit::Seconds | Unit::Millis => now_ms as i64,
        Unit::AtSeconds | Unit::AtMillis => 0,
    };
    let scale = match unit {
        Unit::Seconds | Unit::AtSeconds => 1_000,
        Unit::Millis | Unit::AtMillis => 1,
    };
    let at = (value > 0)
        .then(|| value.checked_mul(scale)?.checked_add(base))
        .flatten();
    at.map(|at| at as u64)
        .ok_or_else(|| CommandError::invalid_expire(command))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relative_becomes_absolute() {
        assert_eq!(absolute_ms(2, Unit::Seconds, 1_000, "set").unwrap(), 3_000);
        assert_eq!(absolute_ms(2, Unit::Millis, 1_000, "set").unwrap(), 1_002);
        assert_eq!(
            absolute_ms(2, Unit::AtSeconds, 1_000, "set").unwrap(),
            2_000
        );
        assert_eq!(absolute_ms(2, Unit::AtMillis, 1_000, "set").unwrap(), 2);
        for value in [0, -1, i64::MAX, i64::MAX / 1000 + 1] {
            let error = absolute_ms(value, Unit::Seconds, 1_000, "setex").unwrap_err();
            assert_eq!(
                error.to_string(),
                "ERR invalid expire time in 'setex' command"
            );
        }
    }
}
