//! Which settings and which mode hold for a subject: its own, its context's, the global ones, the
//! defaults.

use super::State;
use crate::record::{Mode, Settings};
use crate::subject::Subject;

/// Level of a registry whose configuration says nothing.
pub(crate) const DEFAULT_LEVEL: &str = "BACKWARD";

/// The subject that settings of all contexts are kept under.
const ALL_CONTEXTS: &str = ":.__GLOBAL:";

impl State {
    /// The settings kept for exactly this scope; `None` is global.
    #[must_use]
    pub fn own_settings(&self, scope: Option<&Subject>) -> Option<&Settings> {
        self.settings.get(&scope.cloned())
    }

    /// The mode kept for exactly this scope; `None` is global.
    #[must_use]
    pub fn own_mode(&self, scope: Option<&Subject>) -> Option<Mode> {
        self.modes.get(&scope.cloned()).copied()
    }

    /// The global settings, with the server's defaults for what they leave open.
    #[must_use]
    pub fn global_settings(&self) -> Settings {
        let defaults = Settings {
            compatibility_level: Some(DEFAULT_LEVEL.to_owned()),
            ..Settings::default()
        };
        let below = self
            .own_settings(Some(&Subject::new(ALL_CONTEXTS)))
            .map_or_else(|| defaults.clone(), |all| all.clone().over(&defaults));
        self.own_settings(None)
            .map_or_else(|| below.clone(), |global| global.clone().over(&below))
    }

    /// The settings that hold for `subject`. A subject whose own settings have no level has the
    /// server's default one, whatever the global level is; so Confluent does it.
    #[must_use]
    pub fn settings_of(&self, subject: &Subject) -> Settings {
        let global = self.global_settings();
        let context = subject
            .context_scope()
            .and_then(|scope| self.own_settings(Some(&scope)))
            .map_or_else(|| global.clone(), |own| own.clone().over(&global));
        let Some(own) = self.own_settings(Some(subject)) else {
            return context;
        };
        let level = own
            .compatibility_level
            .clone()
            .unwrap_or_else(|| DEFAULT_LEVEL.to_owned());
        let mut settings = own.clone().over(&context);
        settings.compatibility_level = Some(level);
        settings
    }

    /// The mode that holds for `subject`.
    #[must_use]
    pub fn mode_of(&self, subject: &Subject) -> Mode {
        let global = self
            .own_mode(None)
            .or_else(|| self.own_mode(Some(&Subject::new(ALL_CONTEXTS))))
            .unwrap_or_default();
        if global == Mode::ReadOnlyOverride {
            return global;
        }
        self.own_mode(Some(subject))
            .or_else(|| self.own_mode(Some(&subject.context_scope()?)))
            .unwrap_or(global)
    }

    /// The subject that is meant by `name`: its alias where it has one. Aliases of aliases are not
    /// followed.
    #[must_use]
    pub fn resolve(&self, name: &str) -> Subject {
        let subject = Subject::new(name);
        match self
            .own_settings(Some(&subject))
            .and_then(|settings| settings.alias.as_deref())
        {
            Some(alias) if !alias.is_empty() => subject.sibling(alias),
            _ => subject,
        }
    }
}
