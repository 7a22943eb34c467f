//! Names of things.

use serde::{Deserialize, Serialize};
use std::fmt;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);
        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }
        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }
    };
}

id!(
    /// A run: `<service>-<yyyymmdd>-<n>`.
    RunId
);
id!(
    /// A step of a runbook; journals refer to it, so it is for ever.
    StepId
);
id!(
    /// One write to a platform, stamped on the object: `<run>/<step>/<attempt>`.
    OpId
);
id!(
    /// A connection in the configuration, such as `prom-eu`.
    SourceId
);

/// Grows by one with every change of driver of a service, and never shrinks. Fences old drivers off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, Default)]
#[serde(transparent)]
pub struct Epoch(pub u64);

impl Epoch {
    /// The next epoch.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

impl fmt::Display for Epoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Names one outstanding request. A reply whose ticket is not outstanding changes nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticket(pub u64);

/// Hands out tickets, never the same twice.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tickets(u64);

impl Tickets {
    /// Tickets above `nonce`: two holders with distant nonces never hand out the same one.
    #[must_use]
    pub fn above(nonce: u64) -> Self {
        Self(nonce)
    }

    /// A ticket that was never handed out before.
    pub fn take(&mut self) -> Ticket {
        self.0 += 1;
        Ticket(self.0)
    }
}
