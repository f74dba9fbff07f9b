#include "host/engine/streams.h"

#include <gtest/gtest.h>

// Which event is next where several lanes take them.

namespace catchup {
namespace {

TEST(StreamsTest, GivesTheOldestWhoseStreamNobodyHas) {
  Streams streams;
  streams.Add(1, "a");
  streams.Add(2, "a");
  streams.Add(3, "b");
  EXPECT_EQ(streams.Next(), 1u);
  streams.Take(1);
  EXPECT_EQ(streams.Next(), 3u) << "2 is of the stream that is taken";
  EXPECT_EQ(streams.NextOfItsStream(1), 2u);
  streams.Take(3);
  EXPECT_EQ(streams.Next(), 0u);
  streams.Done(1);
  EXPECT_EQ(streams.Next(), 2u);
  EXPECT_EQ(streams.CheckInvariants(), "");
}

TEST(StreamsTest, OneThatIsPassedOverStaysReady) {
  Streams streams;
  streams.Add(1, "a");
  streams.Add(2, "a");
  streams.Add(3, "b");
  EXPECT_EQ(streams.NextAfter(1), 3u) << "2 stands behind 1";
  EXPECT_EQ(streams.NextAfter(3), 0u);
  EXPECT_EQ(streams.Next(), 1u);
}

TEST(StreamsTest, WhatIsGivenBackIsFirstOfItsStreamAgain) {
  Streams streams;
  for (Sequence sequence = 1; sequence <= 3; ++sequence) {
    streams.Add(sequence, "a");
  }
  streams.Take(1);
  streams.Take(2);
  streams.GiveBack(2);
  EXPECT_EQ(streams.Next(), 0u) << "1 is still taken";
  streams.GiveBack(1);
  for (Sequence sequence = 1; sequence <= 3; ++sequence) {
    EXPECT_EQ(streams.Next(), sequence);
    streams.Take(sequence);
    streams.Done(sequence);
  }
  EXPECT_EQ(streams.CheckInvariants(), "");
}

TEST(StreamsTest, AnOccupiedStreamIsNotReadyUntilItIsVacated) {
  Streams streams;
  streams.Occupy("a");
  streams.Add(1, "a");
  EXPECT_EQ(streams.Next(), 0u);
  streams.Vacate("a");
  EXPECT_EQ(streams.Next(), 1u);
}

TEST(StreamsTest, ForgetsStreamsWhoseEventsAreSettled) {
  Streams streams;
  streams.Add(1, "a");
  streams.Take(1);
  streams.Done(1);
  streams.Release(1);
  streams.Add(2, "b");
  EXPECT_EQ(streams.Next(), 2u);
  EXPECT_EQ(streams.CheckInvariants(), "");
}

}  // namespace
}  // namespace catchup
