//! One ranking out of several, by reciprocal rank (Cormack, Clarke and Büttcher 2009): what stands
//! high in many rankings wins, and scores that cannot be compared are not compared.

use std::collections::HashMap;

use longtrainer_index::Hit;

/// How much less a place is worth than the one above it: the authors' value, with which the first
/// places of one ranking do not outweigh agreement among the others.
const K: f32 = 60.0;

/// What is known of an id from all rankings.
struct Fused {
    hit: Hit,
    worth: f32,
}

/// The ids of all rankings, best first, each with the best score that it has in one of them. A
/// single ranking keeps its order.
///
/// An id that a ranking does not name counts as its first unnamed place: it may well be there,
/// and without that the last id that all rankings name would beat the first that only some name.
pub(crate) fn fuse(rankings: &[Vec<Hit>]) -> Vec<Hit> {
    let unnamed: f32 = rankings.iter().map(|hits| worth(hits.len())).sum();
    let mut fused: HashMap<u64, Fused> = HashMap::new();
    for hits in rankings {
        for (place, hit) in hits.iter().enumerate() {
            let known = fused.entry(hit.id).or_insert(Fused {
                hit: *hit,
                worth: unnamed,
            });
            known.hit.score = known.hit.score.max(hit.score);
            known.worth += worth(place) - worth(hits.len());
        }
    }
    let mut fused: Vec<Fused> = fused.into_values().collect();
    fused.sort_by(|a, b| {
        let by_worth = b.worth.total_cmp(&a.worth);
        by_worth
            .then(b.hit.score.total_cmp(&a.hit.score))
            .then(a.hit.id.cmp(&b.hit.id))
    });
    fused.into_iter().map(|fused| fused.hit).collect()
}

/// What a place of a ranking, from 0, is worth.
fn worth(place: usize) -> f32 {
    1.0 / (K + 1.0 + place as f32)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ranking of these ids with falling scores.
    fn ranking(ids: &[u64]) -> Vec<Hit> {
        let hit = |(place, id): (usize, &u64)| Hit {
            id: *id,
            score: 0.9 - 0.1 * place as f32,
        };
        ids.iter().enumerate().map(hit).collect()
    }

    fn ids(fused: &[Hit]) -> Vec<u64> {
        fused.iter().map(|hit| hit.id).collect()
    }

    #[test]
    fn a_single_ranking_keeps_its_order_and_scores() {
        let alone = ranking(&[7, 3, 9, 1]);
        assert_eq!(fuse(std::slice::from_ref(&alone)), alone);
    }

    #[test]
    fn what_most_rankings_agree_on_comes_first() {
        let rankings = [
            ranking(&[1, 2, 3]),
            ranking(&[4, 2, 5]),
            ranking(&[6, 2, 7]),
        ];
        assert_eq!(ids(&fuse(&rankings))[0], 2);
    }

    #[test]
    fn a_hit_has_its_best_score() {
        let fused = fuse(&[ranking(&[1, 2]), ranking(&[2, 1])]);
        assert_eq!(ids(&fused), [1, 2], "equals are told apart by id");
        assert!(fused.iter().all(|hit| hit.score == 0.9));
    }

    #[test]
    fn the_first_of_one_ranking_stays_before_the_last_of_both() {
        let rankings = [
            ranking(&[1, 2, 3, 4, 5, 6, 7, 8]),
            ranking(&[21, 22, 23, 24, 25, 26, 27, 8]),
        ];
        let fused = ids(&fuse(&rankings));
        let place = |id| fused.iter().position(|other| *other == id);
        assert!(place(1) < place(8), "{fused:?}");
    }

    #[test]
    fn no_rankings_find_nothing() {
        assert!(fuse(&[]).is_empty());
        assert!(fuse(&[Vec::new()]).is_empty());
    }
}
