//! ApiVersions.

use kafka_protocol::messages::ApiVersionsResponse;
use kafka_protocol::messages::api_versions_response::{
    ApiVersion, FinalizedFeatureKey, SupportedFeatureKey,
};
use meshwork_wire::protocol::api_versions::{self, VERSIONS};
use meshwork_wire::protocol::{ApiKey, WireError};

use crate::judge::{
    CORRELATION_ID, judged, refuses_every_cut, reread, response, survives_every_flip, tagged, text,
    without_length,
};

fn answer(version: i16) -> ApiVersionsResponse {
    let api = |(key, least, greatest)| {
        tagged!(
            ApiVersion::default()
                .with_api_key(key)
                .with_min_version(least)
                .with_max_version(greatest)
        )
    };
    let answer = ApiVersionsResponse::default()
        .with_throttle_time_ms(if version >= 1 { 9 } else { 0 })
        .with_api_keys(
            [(0, 0, 13), (1, 4, 18), (27, 1, 2), (18, 0, 4), (1234, 0, 0)]
                .map(api)
                .to_vec(),
        );
    if version < 3 {
        return answer;
    }
    let answer = answer
        .with_supported_features(vec![tagged!(
            SupportedFeatureKey::default()
                .with_name(text("transaction.version"))
                .with_max_version(2)
        )])
        .with_finalized_features_epoch(77)
        .with_finalized_features(vec![tagged!(
            FinalizedFeatureKey::default()
                .with_name(text("transaction.version"))
                .with_max_version_level(2)
                .with_min_version_level(1)
        )])
        .with_zk_migration_ready(true);
    tagged!(answer)
}

#[test]
fn the_brokers_ranges_are_learnt_and_cut() {
    for version in VERSIONS {
        let theirs = answer(version);
        let frame = response(version, &theirs);
        let mut learnt = Vec::new();
        let error = api_versions::ranges(&frame, version, |api, least, greatest| {
            learnt.push((api.0, least, greatest));
        });
        assert_eq!(error, Ok(0));
        let all: Vec<_> = theirs
            .api_keys
            .iter()
            .map(|k| (k.api_key, k.min_version, k.max_version))
            .collect();
        assert_eq!(learnt, all);

        let rewritten = api_versions::rewrite(&frame, version, |api, least, greatest| match api {
            ApiKey::FETCH => Some((least, greatest.min(15))),
            api if !api.is_known() || api == ApiKey::WRITE_TXN_MARKERS => None,
            _ => Some((least, greatest)),
        });
        let mut expected = theirs.clone();
        expected
            .api_keys
            .retain(|k| ![27, 1234].contains(&k.api_key));
        expected.api_keys[1].max_version = 15;
        assert_eq!(
            judged::<ApiVersionsResponse>(version, &rewritten.unwrap()),
            reread(version, &expected)
        );

        let keep = |_, least, greatest| Some((least, greatest));
        let again = api_versions::rewrite(&frame, version, keep).unwrap();
        assert_eq!(without_length(&again), frame);
        refuses_every_cut(&frame, |cut| api_versions::rewrite(cut, version, keep));
        refuses_every_cut(&frame, |cut| {
            api_versions::ranges(cut, version, |_, _, _| {
                assert_eq!(cut.len(), frame.len(), "learnt from a message that is cut");
            })
        });
        survives_every_flip(&frame, |flipped| {
            let _ = api_versions::rewrite(flipped, version, |api, _, _| {
                (api.0 % 2 == 0).then_some((1, 2))
            });
        });
    }
}

#[test]
fn an_answer_to_a_version_that_is_not_known_has_version_0() {
    let frame = api_versions::unsupported(CORRELATION_ID);
    assert_eq!(
        frame,
        [
            0, 0, 0, 16, 1, 2, 3, 4, 0, 35, 0, 0, 0, 1, 0, 18, 0, 0, 0, 4
        ]
    );
    let theirs: ApiVersionsResponse = judged(0, &frame);
    assert_eq!(theirs.error_code, 35);
    for version in VERSIONS {
        let mut learnt = Vec::new();
        let error = api_versions::ranges(&frame[4..], version, |api, least, greatest| {
            learnt.push((api, least, greatest));
        });
        assert_eq!(error, Ok(35));
        assert_eq!(learnt, [(ApiKey::API_VERSIONS, 0, 4)]);
        let cut = api_versions::rewrite(&frame[4..], version, |_, least, _| Some((least, 3)));
        assert_eq!(
            judged::<ApiVersionsResponse>(0, &cut.unwrap()).api_keys[0].max_version,
            3
        );
    }
    // Old brokers give no entry.
    let bare = [1, 2, 3, 4, 0, 35, 0, 0, 0, 0];
    assert_eq!(api_versions::ranges(&bare, 4, |_, _, _| ()), Ok(35));
    assert_eq!(
        api_versions::ranges(&bare, 5, |_, _, _| ()),
        Err(WireError::Version {
            api: "ApiVersions",
            version: 5
        })
    );
}
