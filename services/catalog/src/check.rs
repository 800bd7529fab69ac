//! `product check`: contracts judged alone, against their Avro schemas, and against what the
//! registry holds of them.

pub mod agreement;
pub mod breaking;

use std::collections::BTreeMap;
use std::path::PathBuf;

use meshwork_model::contract::Contract;
use meshwork_model::finding::{Code, Finding, Findings};
use meshwork_model::product::Product;
use meshwork_registry_client::{RegistryClient, RegistryClientError};

pub use breaking::SubjectVersions;

use crate::contract_files::{self, ContractFiles, SourceFile};

/// A product and the files that say what it is.
#[derive(Clone, Debug)]
pub struct CheckedProduct {
    /// The product.
    pub product: Product,
    /// The contract's path.
    pub contract_file: String,
    /// Path and text of the value's schema.
    pub value_schema: SourceFile,
    /// Path and text of the key's schema, where it is a file.
    pub key_schema: Option<SourceFile>,
}

/// What a check found.
#[derive(Clone, Debug, Default)]
pub struct Checked {
    /// Paths of the contracts that were looked at.
    pub files: Vec<String>,
    /// The products whose files hold together well enough to be one; there may be findings on them.
    pub products: Vec<CheckedProduct>,
    /// All findings, sorted by file and place.
    pub findings: Findings,
}

/// Checks contracts with their schemas, without asking anybody.
#[must_use]
pub fn check(files: &[ContractFiles], mut findings: Findings) -> Checked {
    let mut products: Vec<CheckedProduct> = Vec::new();
    for one in files {
        let Some(checked) = check_one(one, &mut findings) else {
            continue;
        };
        if let Some(other) = products
            .iter()
            .find(|p| p.product.urn == checked.product.urn)
        {
            findings.push(Finding::error(
                Code::Duplicate,
                &checked.contract_file,
                None,
                format!(
                    "{} is also described by {}",
                    checked.product.urn, other.contract_file
                ),
            ));
            continue;
        }
        products.push(checked);
    }
    Checked {
        files: files.iter().map(|f| f.contract.path.clone()).collect(),
        products,
        findings: findings.sorted(),
    }
}

fn check_one(files: &ContractFiles, findings: &mut Findings) -> Option<CheckedProduct> {
    let contract = match Contract::read(&files.contract.path, &files.contract.text) {
        Ok(contract) => {
            findings.extend(contract.remarks.clone());
            Some(contract)
        }
        Err(wrong) => {
            findings.extend(wrong);
            None
        }
    };
    // A schema that does not parse is said even where the contract is wrong too.
    let value = files
        .value_schema
        .as_ref()
        .and_then(|file| agreement::parse(file, findings));
    let key = match &files.key_schema {
        Some(file) => Some(agreement::parse(file, findings)?),
        None => None,
    };
    let (contract, value_file, value) = (contract?, files.value_schema.as_ref()?, value?);
    agreement::check(&contract, value_file, &value, key.as_ref(), findings);
    match Product::new(
        &contract,
        &value_file.text,
        files.key_schema.as_ref().map(|f| f.text.as_str()),
    ) {
        Ok(product) => Some(CheckedProduct {
            product,
            contract_file: files.contract.path.clone(),
            value_schema: value_file.clone(),
            key_schema: files.key_schema.clone(),
        }),
        Err(error) => {
            findings.push(Finding::error(
                Code::Key,
                &files.contract.path,
                None,
                error.to_string(),
            ));
            None
        }
    }
}

impl Checked {
    /// Adds what breaks the promise to readers or writers of the versions that the registry holds,
    /// by subject.
    #[must_use]
    pub fn against(mut self, registered: &BTreeMap<String, SubjectVersions>) -> Self {
        for checked in &self.products {
            breaking::check(checked, registered, &mut self.findings);
        }
        self.findings = self.findings.sorted();
        self
    }

    /// The products, if nothing is wrong with any.
    ///
    /// # Errors
    /// The findings.
    pub fn into_products(self) -> Result<Vec<Product>, Findings> {
        if self.findings.has_errors() {
            return Err(self.findings);
        }
        Ok(self.products.into_iter().map(|c| c.product).collect())
    }
}

/// Loads and checks the contracts at `paths`; with a registry also against what it holds.
///
/// # Errors
/// The registry can't be asked. What is wrong with the files is in the answer.
pub async fn check_paths(
    paths: &[PathBuf],
    registry: Option<&RegistryClient>,
) -> Result<Checked, RegistryClientError> {
    let (files, findings) = contract_files::load(paths);
    let checked = check(&files, findings);
    let Some(registry) = registry else {
        return Ok(checked);
    };
    let mut registered = BTreeMap::new();
    for one in &checked.products {
        for subject in breaking::subjects(&one.product) {
            let versions = breaking::fetch(registry, &subject).await?;
            registered.insert(subject, versions);
        }
    }
    Ok(checked.against(&registered))
}

#[cfg(test)]
mod tests;
