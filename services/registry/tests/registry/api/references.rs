//! Schemas that refer to others.

use crate::harness::Registry;
use crate::script::play;

const ADDRESS: &str = r#"
        POST /subjects/address/versions {"schema": "{\"type\":\"record\",\"name\":\"Address\",\"namespace\":\"n\",\"fields\":[{\"name\":\"street\",\"type\":\"string\"}]}"}
        ~> 200 {"id": 1, "version": 1}
"#;

#[tokio::test(flavor = "multi_thread")]
async fn references_are_followed_kept_and_told() {
    let registry = Registry::start().await;
    play(&registry, ADDRESS).await;
    play(
        &registry,
        r#"
        # -1 becomes the real version before the schema is hashed.
        POST /subjects/customer/versions {"schema": "{\"type\":\"record\",\"name\":\"Customer\",\"fields\":[{\"name\":\"a\",\"type\":\"n.Address\"}]}", "references": [{"name": "n.Address", "subject": "address", "version": -1}]}
        ~> 200 {"id": 2, "schema": "{\"type\":\"record\",\"name\":\"Customer\",\"fields\":[{\"name\":\"a\",\"type\":\"n.Address\"}]}", "references": [{"name": "n.Address", "subject": "address", "version": 1}]}
        GET /subjects/customer/versions/1 ~> 200 {"references": [{"name": "n.Address", "subject": "address", "version": 1}]}
        GET /schemas/ids/2 ~> 200 {"references": [{"name": "n.Address", "subject": "address", "version": 1}]}
        GET /subjects/address/versions/1/referencedby => 200 [2]
        GET /subjects/address/versions/latest/referencedby => 200 [2]
        GET /subjects/customer/versions/1/referencedby => 200 []
        GET /subjects/none/versions/1/referencedby => 404 40401 Subject 'none' not found.
        GET /subjects/address/versions/2/referencedby => 404 40402 Version 2 not found.
        # Written out.
        GET /schemas/ids/2?format=resolved
        ~> 200 {"schema": "{\"type\":\"record\",\"name\":\"Customer\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":\"record\",\"name\":\"Address\",\"namespace\":\"n\",\"fields\":[{\"name\":\"street\",\"type\":\"string\"}]}}]}"}
        GET /schemas/ids/2?format=unheard
        ~> 200 {"schema": "{\"type\":\"record\",\"name\":\"Customer\",\"fields\":[{\"name\":\"a\",\"type\":\"n.Address\"}]}"}
        GET /schemas/ids/2/schema?format=resolved ~> 200 {"fields": [{"type": {"name": "Address"}}]}
        GET /subjects/customer/versions/1/schema?format=RESOLVED ~> 200 {"fields": [{"type": {"name": "Address"}}]}
        GET /subjects/customer/versions/1/schema ~> 200 {"fields": [{"type": "n.Address"}]}
        # A text with its references inlined is the same version.
        POST /subjects/customer {"schema": "{\"type\":\"record\",\"name\":\"Customer\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":\"record\",\"name\":\"Address\",\"namespace\":\"n\",\"fields\":[{\"name\":\"street\",\"type\":\"string\"}]}}]}"}
        ~> 200 {"version": 1, "id": 2}
        POST /subjects/customer/versions {"schema": "{\"type\":\"record\",\"name\":\"Customer\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":\"record\",\"name\":\"Address\",\"namespace\":\"n\",\"fields\":[{\"name\":\"street\",\"type\":\"string\"}]}}]}"}
        ~> 200 {"version": 1, "id": 2}
        POST /subjects/customer?format=resolved {"schema": "{\"type\":\"record\",\"name\":\"Customer\",\"fields\":[{\"name\":\"a\",\"type\":\"n.Address\"}]}", "references": [{"name": "n.Address", "subject": "address", "version": 1}]}
        ~> 200 {"version": 1, "schema": "{\"type\":\"record\",\"name\":\"Customer\",\"fields\":[{\"name\":\"a\",\"type\":{\"type\":\"record\",\"name\":\"Address\",\"namespace\":\"n\",\"fields\":[{\"name\":\"street\",\"type\":\"string\"}]}}]}"}
        # What is not there can't be referred to.
        POST /subjects/other/versions {"schema": "{\"type\":\"record\",\"name\":\"O\",\"fields\":[{\"name\":\"a\",\"type\":\"n.Address\"}]}", "references": [{"name": "n.Address", "subject": "address", "version": 9}]}
        ~> 422 {"error_code": 42201}
        POST /subjects/other/versions {"schema": "{\"type\":\"record\",\"name\":\"O\",\"fields\":[{\"name\":\"a\",\"type\":\"n.Address\"}]}"}
        ~> 422 {"error_code": 42201}
        # Nor what is soft-deleted; what referred to it before goes on.
        DELETE /subjects/customer => 200 [1]
        GET /subjects/address/versions/1/referencedby => 200 []
        GET /subjects/address/versions/1/referencedby?deleted=true => 200 [2]
        DELETE /subjects/address => 200 [1]
        POST /subjects/other/versions {"schema": "{\"type\":\"record\",\"name\":\"O\",\"fields\":[{\"name\":\"a\",\"type\":\"n.Address\"}]}", "references": [{"name": "n.Address", "subject": "address", "version": 1}]}
        ~> 422 {"error_code": 42201}
        POST /subjects/other/versions {"schema": "{\"type\":\"record\",\"name\":\"O\",\"fields\":[{\"name\":\"a\",\"type\":\"n.Address\"}]}", "references": [{"name": "n.Address", "subject": "address", "version": -1}]}
        ~> 422 {"error_code": 42201}
        POST /subjects/customer?deleted=true {"schema": "{\"type\":\"record\",\"name\":\"Customer\",\"fields\":[{\"name\":\"a\",\"type\":\"n.Address\"}]}", "references": [{"name": "n.Address", "subject": "address", "version": 1}]}
        ~> 200 {"version": 1}
        GET /schemas/ids/2?format=resolved ~> 200 {"deleted": true}
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_belongs_to_the_context_of_its_referrer() {
    let registry = Registry::start().await;
    play(
        &registry,
        r#"
        POST /subjects/:.c:a/versions {"schema": "{\"type\":\"record\",\"name\":\"A\",\"fields\":[]}"} ~> 200 {"id": 1}
        POST /subjects/:.c:b/versions {"schema": "{\"type\":\"record\",\"name\":\"B\",\"fields\":[{\"name\":\"a\",\"type\":\"A\"}]}", "references": [{"name": "A", "subject": "a", "version": 1}]}
        ~> 200 {"id": 2, "references": [{"name": "A", "subject": "a", "version": 1}]}
        POST /subjects/b/versions {"schema": "{\"type\":\"record\",\"name\":\"B\",\"fields\":[{\"name\":\"a\",\"type\":\"A\"}]}", "references": [{"name": "A", "subject": "a", "version": 1}]}
        ~> 422 {"error_code": 42201}
        POST /subjects/b/versions {"schema": "{\"type\":\"record\",\"name\":\"B\",\"fields\":[{\"name\":\"a\",\"type\":\"A\"}]}", "references": [{"name": "A", "subject": ":.c:a", "version": -1}]}
        ~> 200 {"id": 1, "references": [{"name": "A", "subject": ":.c:a", "version": 1}]}
        GET /subjects/:.c:a/versions/1/referencedby => 200 [1, 2]
        # With their context, where that is asked for.
        GET /subjects/:.c:b/versions/1 ~> 200 {"references": [{"subject": "a"}]}
        GET /subjects/:.c:b/versions/1?referenceFormat=qualified ~> 200 {"references": [{"name": "A", "subject": ":.c:a", "version": 1}]}
        GET /subjects/:.c:b/versions/1?referenceFormat=other ~> 200 {"references": [{"subject": "a"}]}
        GET /schemas/ids/2?subject=:.c:b&referenceFormat=qualified ~> 200 {"references": [{"subject": ":.c:a"}]}
        GET /contexts/.c/schemas/ids/2?referenceFormat=qualified ~> 200 {"references": [{"subject": ":.c:a"}]}
        GET /schemas/ids/2?subject=:.c:b ~> 200 {"references": [{"subject": "a"}]}
        "#,
    )
    .await;
    registry.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn referred_types_count_where_schemas_are_compared() {
    let registry = Registry::start().await;
    play(&registry, ADDRESS).await;
    play(
        &registry,
        r#"
        POST /subjects/address/versions?force=true {"schema": "{\"type\":\"record\",\"name\":\"Address\",\"namespace\":\"n\",\"fields\":[{\"name\":\"street\",\"type\":\"int\"}]}"}
        ~> 200 {"id": 2, "version": 2}
        POST /subjects/c/versions {"schema": "{\"type\":\"record\",\"name\":\"C\",\"fields\":[{\"name\":\"a\",\"type\":\"n.Address\"}]}", "references": [{"name": "n.Address", "subject": "address", "version": 1}]}
        ~> 200 {"version": 1}
        POST /compatibility/subjects/c/versions/1 {"schema": "{\"type\":\"record\",\"name\":\"C\",\"fields\":[{\"name\":\"a\",\"type\":\"n.Address\"}]}", "references": [{"name": "n.Address", "subject": "address", "version": 1}]}
        => 200 {"is_compatible": true}
        POST /compatibility/subjects/c/versions/1 {"schema": "{\"type\":\"record\",\"name\":\"C\",\"fields\":[{\"name\":\"a\",\"type\":\"n.Address\"}]}", "references": [{"name": "n.Address", "subject": "address", "version": -1}]}
        => 200 {"is_compatible": false}
        POST /subjects/c/versions {"schema": "{\"type\":\"record\",\"name\":\"C\",\"fields\":[{\"name\":\"a\",\"type\":\"n.Address\"}]}", "references": [{"name": "n.Address", "subject": "address", "version": 2}]}
        ~> 409 {"error_code": 40901}
        "#,
    )
    .await;
    registry.stop().await;
}
