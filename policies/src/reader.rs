//! Reads policies, role links and seals, wherever they come from - a file, the database, the API -, and lets nothing pass that is not sound
//! in itself. What many of them have in common is kept once and checked once.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use model::{Condition, condition::Scope};

use crate::{
    error::{Column, Error},
    fields::Fields,
    policy::{
        Effect, Policy, PolicyDraft, PolicyId, Source, check_fields, check_object, check_subject, check_system_object, check_tenant,
        check_text, read_action,
    },
    role::{RoleLink, check_role},
};

/// That the policies of the files are the last word about an object: what the database allows there does not count, what it denies does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seal {
    /// A collection or a system object.
    pub object: Arc<str>,
    /// The line of the file; the database cannot seal.
    pub source: Source,
}

/// What was read: a part of what is to be in force.
#[derive(Clone, Debug, Default)]
pub struct PolicySet {
    /// In the order in which they were read; the same policy may stand twice.
    pub policies: Vec<Policy>,
    /// In the order in which they were read.
    pub links: Vec<RoleLink>,
    /// In the order in which they were read.
    pub seals: Vec<Seal>,
}

impl PolicySet {
    /// Puts another set behind this one.
    pub fn extend(&mut self, other: PolicySet) {
        self.policies.extend(other.policies);
        self.links.extend(other.links);
        self.seals.extend(other.seals);
    }
}

/// The columns of a policy as they were written.
#[derive(Clone, Copy)]
pub(crate) struct Columns<'a> {
    pub(crate) subject: &'a str,
    pub(crate) domain: &'a str,
    pub(crate) object: &'a str,
    pub(crate) action: &'a str,
    pub(crate) fields: &'a str,
    pub(crate) condition: &'a str,
    pub(crate) effect: Effect,
}

/// Reads one thing after the other.
#[derive(Default)]
pub struct Reader {
    set: PolicySet,
    subjects: HashSet<Arc<str>>,
    roles: HashSet<Arc<str>>,
    domains: HashSet<Arc<str>>,
    objects: HashSet<Arc<str>>,
    fields: HashMap<Box<str>, Arc<Fields>>,
    conditions: HashMap<Box<str>, Arc<Condition>>,
}

impl Reader {
    /// Reads a policy and brings white space into one form. Whether fields and conditions fit their collection is not known here: see
    /// [`crate::Snapshot::build`].
    ///
    /// # Errors
    /// [`Error::Column`] for the first column that is wrong.
    pub fn policy(&mut self, draft: &PolicyDraft, source: Source) -> Result<(), Error> {
        let PolicyDraft { subject, domain, object, action, fields, condition, effect } = draft;
        self.columns(Columns { subject, domain, object, action, fields, condition, effect: *effect }, source)
    }

    pub(crate) fn columns(&mut self, columns: Columns<'_>, source: Source) -> Result<(), Error> {
        match self.read(columns, source) {
            Ok(policy) => {
                self.set.policies.push(policy);
                Ok(())
            }
            Err((source, (column, reason))) => Err(Error::Column { place: source, column, reason }),
        }
    }

    fn read(&mut self, columns: Columns<'_>, source: Source) -> Result<Policy, (Source, (Column, String))> {
        let parts = (|| {
            let subject = kept(&mut self.subjects, columns.subject.trim(), check_subject).map_err(at(Column::Subject))?;
            let domain = kept(&mut self.domains, columns.domain.trim(), check_tenant).map_err(at(Column::Domain))?;
            let object = kept(&mut self.objects, columns.object.trim(), check_object).map_err(at(Column::Object))?;
            let action = read_action(columns.action.trim()).map_err(at(Column::Action))?;
            let fields = self.fields_of(columns.fields.trim()).map_err(at(Column::Fields))?;
            check_text(columns.condition.trim()).map_err(at(Column::Condition))?;
            check_system_object(&object, fields.text(), columns.condition.trim())?;
            let condition = self.condition(columns.condition.trim()).map_err(at(Column::Condition))?;
            Ok((subject, domain, object, action, fields, condition))
        })();
        let (subject, domain, object, action, fields, condition) = match parts {
            Ok(parts) => parts,
            Err(error) => return Err((source, error)),
        };
        let mut policy = Policy { id: PolicyId(0), subject, domain, object, fields, condition, source, action, effect: columns.effect };
        policy.id = policy.hash();
        Ok(policy)
    }

    fn fields_of(&mut self, text: &str) -> Result<Arc<Fields>, String> {
        if let Some(known) = self.fields.get(text) {
            return Ok(Arc::clone(known));
        }
        let tidy = text.split_whitespace().collect::<Vec<_>>().join(" ");
        check_fields(&tidy)?;
        let fields = Arc::new(Fields::new(&tidy));
        self.fields.insert(text.into(), Arc::clone(&fields));
        Ok(fields)
    }

    fn condition(&mut self, text: &str) -> Result<Option<Arc<Condition>>, String> {
        if text.is_empty() {
            return Ok(None);
        }
        if let Some(known) = self.conditions.get(text) {
            return Ok(Some(Arc::clone(known)));
        }
        let condition = Arc::new(Condition::parse(text, Scope::Policy).map_err(|error| error.to_string())?);
        self.conditions.insert(text.into(), Arc::clone(&condition));
        Ok(Some(condition))
    }

    /// Reads a role link.
    ///
    /// # Errors
    /// [`Error::Column`] for the first column that is wrong; also a role that cannot be given because everybody has it anyway.
    pub fn link(&mut self, member: &str, role: &str, tenant: &str, source: Source) -> Result<(), Error> {
        let parts = (|| {
            let member = kept(&mut self.subjects, member.trim(), check_subject).map_err(at(Column::Member))?;
            let role = kept(&mut self.roles, role.trim(), check_role).map_err(at(Column::Role))?;
            let tenant = kept(&mut self.domains, tenant.trim(), check_tenant).map_err(at(Column::Tenant))?;
            Ok((member, role, tenant))
        })();
        match parts {
            Ok((member, role, tenant)) => {
                self.set.links.push(RoleLink { member, role, tenant, source });
                Ok(())
            }
            Err((column, reason)) => Err(Error::Column { place: source, column, reason }),
        }
    }

    /// Reads a seal.
    ///
    /// # Errors
    /// [`Error::Column`] when it names no collection and no system object.
    pub(crate) fn seal(&mut self, object: &str, source: Source) -> Result<(), Error> {
        let refuse = |place, reason| Err(Error::Column { place, column: Column::Sealed, reason });
        if object.trim() == "*" {
            return refuse(source, "name one collection or system object: everything cannot be sealed at once".to_owned());
        }
        match kept(&mut self.objects, object.trim(), check_object) {
            Ok(object) => {
                self.set.seals.push(Seal { object, source });
                Ok(())
            }
            Err(reason) => refuse(source, reason),
        }
    }

    /// What was read.
    #[must_use]
    pub fn finish(self) -> PolicySet {
        self.set
    }
}

impl Policy {
    /// Reads one policy: see [`Reader::policy`].
    ///
    /// # Errors
    /// [`Error::Column`] for the first column that is wrong.
    pub fn new(draft: &PolicyDraft, source: Source) -> Result<Self, Error> {
        let mut reader = Reader::default();
        reader.policy(draft, source)?;
        // INVARIANT: a reader that has read one policy without error holds it.
        Ok(reader.finish().policies.remove(0))
    }
}

impl RoleLink {
    /// Reads one role link: see [`Reader::link`].
    ///
    /// # Errors
    /// [`Error::Column`] for the first column that is wrong.
    pub fn new(member: &str, role: &str, tenant: &str, source: Source) -> Result<Self, Error> {
        let mut reader = Reader::default();
        reader.link(member, role, tenant, source)?;
        // INVARIANT: as above.
        Ok(reader.finish().links.remove(0))
    }
}

fn at(column: Column) -> impl Fn(String) -> (Column, String) {
    move |reason| (column, reason)
}

/// The text as it was kept when it was seen first; only then it is checked.
fn kept(known: &mut HashSet<Arc<str>>, text: &str, check: impl FnOnce(&str) -> Result<(), String>) -> Result<Arc<str>, String> {
    if let Some(found) = known.get(text) {
        return Ok(Arc::clone(found));
    }
    check(text)?;
    let text: Arc<str> = text.into();
    known.insert(Arc::clone(&text));
    Ok(text)
}
