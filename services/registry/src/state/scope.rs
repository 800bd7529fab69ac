//! Which settings and which mode hold for a subject: its own, its context's, the global ones, the
//! defaults.

use super::State;
use super::keys;
use super::rows::StateError;
use crate::record::{Mode, Settings};
use crate::subject::Subject;

/// Level of a registry whose configuration says nothing.
pub(crate) const DEFAULT_LEVEL: &str = "BACKWARD";

/// The subject that settings of all contexts are kept under.
const ALL_CONTEXTS: &str = ":.__GLOBAL:";

impl State<'_> {
    /// The settings kept for exactly this scope; `None` is global.
    ///
    /// # Errors
    /// They can't be read.
    pub fn own_settings(&self, scope: Option<&Subject>) -> Result<Option<Settings>, StateError> {
        self.get(keys::settings(scope))?
            .map(|value| {
                serde_json::from_slice(&value).map_err(|_| StateError::Garbled { what: "settings" })
            })
            .transpose()
    }

    /// The mode kept for exactly this scope; `None` is global.
    ///
    /// # Errors
    /// It can't be read.
    pub fn own_mode(&self, scope: Option<&Subject>) -> Result<Option<Mode>, StateError> {
        self.get(keys::mode(scope))?
            .map(|value| {
                std::str::from_utf8(&value)
                    .ok()
                    .and_then(|name| name.parse().ok())
                    .ok_or(StateError::Garbled { what: "mode" })
            })
            .transpose()
    }

    /// The global settings, with the server's defaults for what they leave open.
    ///
    /// # Errors
    /// They can't be read.
    pub fn global_settings(&self) -> Result<Settings, StateError> {
        let defaults = Settings {
            compatibility_level: Some(DEFAULT_LEVEL.to_owned()),
            ..Settings::default()
        };
        let below = match self.own_settings(Some(&Subject::new(ALL_CONTEXTS)))? {
            Some(all) => all.over(&defaults),
            None => defaults,
        };
        Ok(match self.own_settings(None)? {
            Some(global) => global.over(&below),
            None => below,
        })
    }

    /// The settings that hold for `subject`. A subject whose own settings have no level has the
    /// server's default one, whatever the global level is; so Confluent does it.
    ///
    /// # Errors
    /// They can't be read.
    pub fn settings_of(&self, subject: &Subject) -> Result<Settings, StateError> {
        let mut below = self.global_settings()?;
        if let Some(scope) = subject.context_scope()
            && let Some(own) = self.own_settings(Some(&scope))?
        {
            below = own.over(&below);
        }
        let Some(own) = self.own_settings(Some(subject))? else {
            return Ok(below);
        };
        let level = own
            .compatibility_level
            .clone()
            .unwrap_or_else(|| DEFAULT_LEVEL.to_owned());
        let mut settings = own.over(&below);
        settings.compatibility_level = Some(level);
        Ok(settings)
    }

    /// The mode that holds for `subject`.
    ///
    /// # Errors
    /// It can't be read.
    pub fn mode_of(&self, subject: &Subject) -> Result<Mode, StateError> {
        let global = match self.own_mode(None)? {
            Some(mode) => mode,
            None => self
                .own_mode(Some(&Subject::new(ALL_CONTEXTS)))?
                .unwrap_or_default(),
        };
        if global == Mode::ReadOnlyOverride {
            return Ok(global);
        }
        if let Some(mode) = self.own_mode(Some(subject))? {
            return Ok(mode);
        }
        let context = match subject.context_scope() {
            Some(scope) => self.own_mode(Some(&scope))?,
            None => None,
        };
        Ok(context.unwrap_or(global))
    }

    /// The subject that is meant by `name`: its alias where it has one. Aliases of aliases are not
    /// followed.
    ///
    /// # Errors
    /// Its settings can't be read.
    pub fn resolve(&self, name: &str) -> Result<Subject, StateError> {
        let subject = Subject::new(name);
        let alias = self
            .own_settings(Some(&subject))?
            .and_then(|settings| settings.alias)
            .filter(|alias| !alias.is_empty());
        Ok(match alias {
            Some(alias) => subject.sibling(&alias),
            None => subject,
        })
    }
}
