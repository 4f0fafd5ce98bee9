use tokio::time::timeout;

use super::*;
use crate::{
    carriers::{Admission, Farewell, Session},
    testing::{TestOutlet, World, on_both_engines},
};

const HOUR: Duration = Duration::from_secs(3600);

fn token(world: &World, user: UserId, name: &str, issued: DateTime<Utc>) -> String {
    world.control.auth.mint(&user.to_string(), Some(name), HOUR, issued).unwrap()
}

on_both_engines! {
    async fn revoked_sessions_stay_revoked_and_new_ones_begin(database) {
        let world = World::new(&database).await;
        let (ada, bob, revoked_at) = (UserId::random(), UserId::random(), now());
        let before = token(&world, ada, "Ada", revoked_at - Duration::from_secs(60));
        let after = token(&world, ada, "Ada", revoked_at + Duration::from_secs(1));
        let bobs = token(&world, bob, "Bob", revoked_at - Duration::from_secs(60));
        assert!(world.control.authenticate(&before).await.is_ok());

        world.control.revoke_sessions(&Actor::SERVER, ada, revoked_at).await.unwrap();
        let check = async |world: &World| {
            assert_eq!(world.control.authenticate(&before).await, Err(AuthError::Revoked));
            assert!(world.control.authenticate(&after).await.is_ok());
            assert_eq!(world.control.authenticate(&before).await, Err(AuthError::Revoked));
            assert!(world.control.authenticate(&bobs).await.is_ok());
        };
        check(&world).await;
        world.control.shutdown().await;
        check(&World::new(&database).await).await;
    }

    async fn a_socket_on_its_way_does_not_outlive_the_revocation(database) {
        let world = World::new(&database).await;
        let (ada, revoked_at) = (UserId::random(), now());
        let open = async |issued: DateTime<Utc>, revoke: bool| {
            let token = token(&world, ada, "Ada", issued);
            let admission = Admission::by_token(&world.control, &token, None).await.unwrap();
            if revoke {
                world.control.revoke_sessions(&Actor::SERVER, ada, revoked_at).await.unwrap();
            }
            let (outlet, _heard) = TestOutlet::new();
            let mut session = Session::open(world.control.clone(), admission, Box::new(outlet));
            session.greet().await;
            let overstays = timeout(Duration::from_millis(100), session.overstayed()).await.is_ok();
            session.close(Farewell::Lost).await;
            overstays
        };
        assert!(open(revoked_at - Duration::from_secs(60), true).await);
        assert!(!open(revoked_at + Duration::from_secs(1), false).await);
    }

    async fn an_earlier_revocation_does_not_undo_a_later_one(database) {
        let world = World::new(&database).await;
        let (ada, latest) = (UserId::random(), now());
        world.control.revoke_sessions(&Actor::SERVER, ada, latest).await.unwrap();
        world.control.revoke_sessions(&Actor::SERVER, ada, latest - HOUR).await.unwrap();
        let between = token(&world, ada, "Ada", latest - Duration::from_secs(60));
        assert_eq!(world.control.authenticate(&between).await, Err(AuthError::Revoked));
        world.control.shutdown().await;
        let restarted = World::new(&database).await;
        assert_eq!(restarted.control.authenticate(&between).await, Err(AuthError::Revoked));
    }

    async fn somebody_who_was_never_here_can_be_kept_out(database) {
        let world = World::new(&database).await;
        let ada = UserId::random();
        world.control.revoke_sessions(&Actor::SERVER, ada, now()).await.unwrap();
        let early = token(&world, ada, "Ada", now() - Duration::from_secs(60));
        assert_eq!(world.control.authenticate(&early).await, Err(AuthError::Revoked));
        let late = token(&world, ada, "Ada", now() + Duration::from_secs(1));
        assert!(world.control.authenticate(&late).await.is_ok());
        assert_eq!(world.control.store.user(ada).await.unwrap().unwrap().name, "Ada");
    }

    async fn people_are_known_while_the_database_is_away(database) {
        let world = World::new(&database).await;
        let (ada, bob) = (UserId::random(), UserId::random());
        let issued = now();
        world.control.authenticate(&token(&world, ada, "Ada", issued)).await.unwrap();
        world.control.store.close().await;
        let renamed = token(&world, ada, "Ada L.", issued);
        assert_eq!(world.control.authenticate(&renamed).await.unwrap().name, "Ada L.");
        let stranger = token(&world, bob, "Bob", issued);
        assert_eq!(world.control.authenticate(&stranger).await, Err(AuthError::Unavailable));
        let refused = world.control.revoke_sessions(&Actor::SERVER, ada, now()).await.unwrap_err();
        assert_eq!(refused.code, crate::error::ErrorCode::Unavailable);
    }
}
