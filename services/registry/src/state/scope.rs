//! Which settings and which mode hold for a subject: its own, its context's, the global ones, the
//! defaults.

use super::State;
use super::keys::{self, Parts};
use super::rows::{Direction, Row, StateError};
use crate::record::{Mode, Settings};
use crate::subject::Subject;

/// Level of a registry whose configuration says nothing.
const DEFAULT_LEVEL: &str = "BACKWARD";

fn with_level(mut settings: Settings) -> Settings {
    settings
        .compatibility_level
        .get_or_insert_with(|| DEFAULT_LEVEL.to_owned());
    settings
}

/// The subject in the key of a setting; none in that of the default context.
fn scope_of(key: &[u8]) -> Result<Option<Subject>, StateError> {
    if key.len() <= 1 {
        return Ok(None);
    }
    Parts::of(key)
        .text()
        .map(|name| Some(Subject::from_full(&name)))
        .ok_or(StateError::Garbled {
            what: "key of a setting",
        })
}

impl State<'_> {
    /// The settings kept for exactly this scope; `None` is global.
    ///
    /// # Errors
    /// They can't be read.
    pub fn own_settings(&self, scope: Option<&Subject>) -> Result<Option<Settings>, StateError> {
        self.get_scope(keys::settings(scope))?
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
        self.get_scope(keys::mode(scope))?
            .map(|value| {
                std::str::from_utf8(&value)
                    .ok()
                    .and_then(|name| name.parse().ok())
                    .ok_or(StateError::Garbled { what: "mode" })
            })
            .transpose()
    }

    /// The settings kept for exactly this scope, with the server's default level where they have
    /// none. The default context and all contexts together are never without.
    ///
    /// # Errors
    /// They can't be read.
    pub fn settings_at(&self, scope: Option<&Subject>) -> Result<Option<Settings>, StateError> {
        let own = self.own_settings(scope)?;
        let always = scope.is_none_or(Subject::is_of_all_contexts);
        Ok(own
            .or_else(|| always.then(Settings::default))
            .map(with_level))
    }

    /// The settings that hold for a scope: those of the first of the subject, its context, and all
    /// contexts that has any. A subject's own leave to the default context's what is not about
    /// itself; so Confluent does it.
    ///
    /// # Errors
    /// They can't be read.
    pub fn settings_in(&self, scope: Option<&Subject>) -> Result<Settings, StateError> {
        if let Some(subject) = scope
            && let Some(own) = self.own_settings(Some(subject))?
        {
            let global = self.own_settings(None)?.unwrap_or_default();
            return Ok(with_level(Settings {
                normalize: own.normalize.or(global.normalize),
                validate_fields: own.validate_fields.or(global.validate_fields),
                validate_new_schemas: own.validate_new_schemas.or(global.validate_new_schemas),
                validate_rules: own.validate_rules.or(global.validate_rules),
                compatibility_policy: own.compatibility_policy.or(global.compatibility_policy),
                compatibility_group: own.compatibility_group.or(global.compatibility_group),
                ..own
            }));
        }
        let context = scope.and_then(Subject::context_scope);
        let settings = match self.own_settings(context.as_ref())? {
            Some(settings) => Some(settings),
            None => self.own_settings(Some(&Subject::all_contexts()))?,
        };
        Ok(with_level(settings.unwrap_or_default()))
    }

    /// The settings that hold for `subject`.
    ///
    /// # Errors
    /// They can't be read.
    pub fn settings_of(&self, subject: &Subject) -> Result<Settings, StateError> {
        self.settings_in(Some(subject))
    }

    /// The mode kept for exactly this scope. The default context and all contexts together are
    /// never without.
    ///
    /// # Errors
    /// It can't be read.
    pub fn mode_at(&self, scope: Option<&Subject>) -> Result<Option<Mode>, StateError> {
        let own = self.own_mode(scope)?;
        let always = scope.is_none_or(Subject::is_of_all_contexts);
        Ok(own.or_else(|| always.then(Mode::default)))
    }

    /// The mode that holds for a scope: that of the first of the subject, its context, and all
    /// contexts that has one. `READONLY_OVERRIDE` of the default context or of all goes before.
    ///
    /// # Errors
    /// It can't be read.
    pub fn mode_in(&self, scope: Option<&Subject>) -> Result<Mode, StateError> {
        let all = self.own_mode(Some(&Subject::all_contexts()))?;
        let default = self.own_mode(None)?.or(all);
        if default == Some(Mode::ReadOnlyOverride) {
            return Ok(Mode::ReadOnlyOverride);
        }
        if let Some(mode) = scope.map_or(Ok(None), |subject| self.own_mode(Some(subject)))? {
            return Ok(mode);
        }
        let mode = match scope.and_then(Subject::context_scope) {
            Some(context) => self.own_mode(Some(&context))?.or(all),
            None => default,
        };
        Ok(mode.unwrap_or_default())
    }

    /// The mode that holds for `subject`.
    ///
    /// # Errors
    /// It can't be read.
    pub fn mode_of(&self, subject: &Subject) -> Result<Mode, StateError> {
        self.mode_in(Some(subject))
    }

    /// Scopes that have a mode of their own and whose full names begin with `prefix`, in the order
    /// of their names.
    ///
    /// # Errors
    /// They can't be read.
    pub fn with_mode(&self, prefix: &str) -> Result<Vec<Subject>, StateError> {
        self.scan(&keys::modes_with(prefix).range(), Direction::Forward)
            .map(|row| scope_of(&row?.0))
            .filter_map(Result::transpose)
            .collect()
    }

    /// Subjects that have an alias and whose full names begin with `prefix`, with the alias, in the
    /// order of their names. Read one after another.
    pub fn aliases(
        &self,
        prefix: &str,
    ) -> impl Iterator<Item = Result<(Subject, Subject), StateError>> + use<'_> {
        let range = keys::settings_with(prefix).range();
        self.scan(&range, Direction::Forward).filter_map(|row| {
            let read = |(key, value): Row| {
                let Some(subject) = scope_of(&key)? else {
                    return Ok(None);
                };
                let settings: Settings = serde_json::from_slice(&value)
                    .map_err(|_| StateError::Garbled { what: "settings" })?;
                let alias = settings.alias.filter(|alias| !alias.is_empty());
                Ok(alias.map(|alias| {
                    let meant = subject.sibling(&alias);
                    (subject, meant)
                }))
            };
            row.and_then(read).transpose()
        })
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
