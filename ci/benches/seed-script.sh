#!/usr/bin/env bash
# The pipeline as a shell script, as such scripts are found in many CI systems: a fixed wait for the database, one suite after
# the other, reports lost with their containers. What `ci/bench --peers` compares envrun with; no example to follow.
#
#   seed-script.sh SESSION POSTGRES_IMAGE APP_IMAGE
set -uo pipefail

# Only the label is not of the original: it lets ci/bench tidy up after a failure.
label=dev.envrun.bench=$1
postgres_image=$2
app_image=$3

BUILD_ID=$(date +%s)-$$
TEST_NETWORK="test-env-${BUILD_ID}"
DATABASE_URL="postgres://postgres:testpass@test-db-${BUILD_ID}:5432/testdb"

echo "Creating isolated test environment: ${TEST_NETWORK}"
docker network create --label "$label" "${TEST_NETWORK}"

docker run -d \
  --label "$label" \
  --name "test-db-${BUILD_ID}" \
  --network "${TEST_NETWORK}" \
  -e POSTGRES_PASSWORD=testpass \
  -e POSTGRES_DB=testdb \
  "$postgres_image"

# Wait for database to be ready
sleep 5

# Run database migrations
docker run --rm \
  --label "$label" \
  --network "${TEST_NETWORK}" \
  -e DATABASE_URL="${DATABASE_URL}" \
  "$app_image" python3 -u -m taskflow.migrate

# Run unit tests
docker run --rm \
  --label "$label" \
  --name "unit-tests-${BUILD_ID}" \
  --network "${TEST_NETWORK}" \
  -e APP_ENV=test \
  "$app_image" python3 -m pytest tests/unit
UNIT_TEST_EXIT_CODE=$?

# Run integration tests
docker run --rm \
  --label "$label" \
  --name "integration-tests-${BUILD_ID}" \
  --network "${TEST_NETWORK}" \
  -e DATABASE_URL="${DATABASE_URL}" \
  -e APP_ENV=test \
  "$app_image" python3 -m pytest tests/integration
INTEGRATION_TEST_EXIT_CODE=$?

# Run E2E tests
docker run -d \
  --label "$label" \
  --name "app-${BUILD_ID}" \
  --network "${TEST_NETWORK}" \
  -e DATABASE_URL="${DATABASE_URL}" \
  "$app_image"

docker run --rm \
  --label "$label" \
  --network "${TEST_NETWORK}" \
  -e BASE_URL="http://app-${BUILD_ID}:3000" \
  "$app_image" python3 -m pytest tests/e2e
E2E_TEST_EXIT_CODE=$?

# Cleanup
echo "Cleaning up test environment: ${TEST_NETWORK}"
docker stop "test-db-${BUILD_ID}" "app-${BUILD_ID}"
docker rm -v "test-db-${BUILD_ID}" "app-${BUILD_ID}"
docker network rm "${TEST_NETWORK}"

# Exit with failure if any test failed
if ((UNIT_TEST_EXIT_CODE != 0 || INTEGRATION_TEST_EXIT_CODE != 0 || E2E_TEST_EXIT_CODE != 0)); then
  echo "Tests failed!"
  exit 1
fi

echo "All tests passed!"
exit 0
