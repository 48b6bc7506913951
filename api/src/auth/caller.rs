//! A caller and the table of what each role may do.

use std::collections::BTreeSet;
use std::fmt;

use super::denied::{Denied, Reason};

/// What a caller wants to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Action {
    ReadObservations,
    ReadConnection,
    Connect,
    Sync,
    Deactivate,
    Disconnect,
    Invite,
    Consent,
    Erase,
    /// Connections of everybody; the subject asked with it does not matter.
    ListAll,
    ReadAudit,
}

impl Action {
    pub const ALL: [Self; 11] = [
        Self::ReadObservations,
        Self::ReadConnection,
        Self::Connect,
        Self::Sync,
        Self::Deactivate,
        Self::Disconnect,
        Self::Invite,
        Self::Consent,
        Self::Erase,
        Self::ListAll,
        Self::ReadAudit,
    ];
}

/// What a scope makes of a caller. In this order the first of several names the actor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Everything, for a process that serves simulated people only. No scope gives it.
    Developer,
    /// Runs the connections of all, and sees nobody's observations.
    Operator,
    /// Looks after the people listed.
    Clinician,
    /// A service that reads the observations of all.
    Reader,
    /// One person, on their own data.
    Subject,
}

impl Role {
    /// The role of a word of the `scope` claim.
    pub fn of_scope(scope: &str) -> Option<Self> {
        Some(match scope {
            "headwater.operator" => Self::Operator,
            "headwater.clinician" => Self::Clinician,
            "headwater.reader" => Self::Reader,
            "headwater.subject" => Self::Subject,
            _ => return None,
        })
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Developer => "developer",
            Self::Operator => "operator",
            Self::Clinician => "clinician",
            Self::Reader => "reader",
            Self::Subject => "subject",
        }
    }

    /// Lists what is allowed, so that a new action is refused until somebody thinks of it.
    fn allows(self, action: Action) -> bool {
        use Action::{
            Connect, Consent, Deactivate, Disconnect, Erase, Invite, ListAll, ReadAudit, ReadConnection, ReadObservations, Sync,
        };
        match self {
            Self::Developer => true,
            Self::Operator => {
                matches!(action, ReadConnection | Connect | Sync | Deactivate | Disconnect | Invite | Erase | ListAll | ReadAudit)
            }
            Self::Clinician => matches!(action, ReadObservations | ReadConnection | Sync | Invite),
            Self::Reader => matches!(action, ReadObservations),
            Self::Subject => matches!(
                action,
                ReadObservations | ReadConnection | Connect | Sync | Deactivate | Disconnect | Consent | Erase | ReadAudit
            ),
        }
    }
}

/// Somebody whose token was accepted.
#[derive(Clone, PartialEq, Eq)]
pub struct Caller {
    /// Stable id for the audit trail: role and `sub`, e.g. `clinician:5f1c`.
    pub actor: String,
    pub roles: BTreeSet<Role>,
    /// The person a [`Role::Subject`] acts for.
    pub subject: Option<String>,
    /// The people a [`Role::Clinician`] looks after.
    pub subjects: Vec<String>,
}

impl Caller {
    /// A process with the static token: operator and reader.
    pub fn system(actor: impl Into<String>) -> Self {
        Self::with(actor, [Role::Operator, Role::Reader])
    }

    /// Whoever reaches an open development server: everything.
    pub fn open(actor: impl Into<String>) -> Self {
        Self::with(actor, [Role::Developer])
    }

    /// Whether any role of the caller allows `action` on the data of `subject`.
    pub fn may(&self, action: Action, subject: &str) -> bool {
        self.roles.iter().any(|role| role.allows(action) && self.covers(*role, subject))
    }

    /// [`Caller::may`] as a result.
    ///
    /// # Errors
    ///
    /// [`Reason::Scope`].
    pub fn require(&self, action: Action, subject: &str) -> Result<(), Denied> {
        if self.may(action, subject) { Ok(()) } else { Err(Denied::of(Reason::Scope)) }
    }

    fn covers(&self, role: Role, subject: &str) -> bool {
        match role {
            Role::Developer | Role::Operator | Role::Reader => true,
            Role::Clinician => self.subjects.iter().any(|listed| listed == subject),
            Role::Subject => self.subject.as_deref() == Some(subject),
        }
    }

    fn with<const N: usize>(actor: impl Into<String>, roles: [Role; N]) -> Self {
        Self { actor: actor.into(), roles: roles.into(), subject: None, subjects: Vec::new() }
    }
}

/// Names nobody: what is about a person stays out of logs.
impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller").field("roles", &self.roles).field("subjects", &self.subjects.len()).finish_non_exhaustive()
    }
}
