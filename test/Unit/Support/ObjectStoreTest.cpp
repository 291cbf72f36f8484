//===- ObjectStoreTest.cpp - A directory of hashed objects ----------------===//
//
// Objects that come back, states that replace each other, and each kind of damage.
//
//===----------------------------------------------------------------------===//
#include "qopt/Support/ObjectStore.h"
#include "TemporaryDirectory.h"
#include <filesystem>
#include <gtest/gtest.h>

using namespace qopt;
namespace fs = std::filesystem;

namespace {

struct Store : testing::Test {
  TemporaryDirectory directory;
  std::string path = directory.file("store");

  static std::string put(ObjectStore &store, std::string_view text) {
    // In two pieces: the name is of the whole.
    Result<std::string> name = store.put([&](const ObjectStore::Sink &sink) -> Status {
      auto bytes = std::as_bytes(std::span(text));
      if (Status status = sink(bytes.first(bytes.size() / 2)); !status)
        return status;
      return sink(bytes.subspan(bytes.size() / 2));
    });
    EXPECT_TRUE(bool(name)) << name.error().message;
    return name ? *name : "";
  }
  size_t numObjects() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(path + "/objects"), {}));
  }
};

TEST_F(Store, givesBackWhatWasPut) {
  std::string name;
  {
    Result<ObjectStore> store = ObjectStore::open(path);
    ASSERT_TRUE(bool(store)) << store.error().message;
    EXPECT_EQ(*store->state(), "");
    name = put(*store, "abc");
    EXPECT_EQ(name, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    ASSERT_TRUE(bool(store->publish("one", {name})));
  }
  Result<ObjectStore> store = ObjectStore::open(path);
  ASSERT_TRUE(bool(store));
  EXPECT_EQ(*store->state(), "one");
  EXPECT_EQ(store->get(name)->text(), "abc");
}

TEST_F(Store, keepsOnlyWhatTheNewestStateNeeds) {
  Result<ObjectStore> store = ObjectStore::open(path);
  ASSERT_TRUE(bool(store));
  std::string first = put(*store, "first"), second = put(*store, "second");
  ASSERT_TRUE(bool(store->publish("one", {first, second})));
  std::string third = put(*store, "third");
  directory.write("store/objects/.unfinished.tmp-1", "of a process that was killed");
  directory.write("store/.state.tmp-1", "");
  directory.write("store/notes", "of the user");
  EXPECT_EQ(numObjects(), 4u);
  ASSERT_TRUE(bool(store->publish("two", {second, third})));
  EXPECT_EQ(numObjects(), 2u);
  EXPECT_FALSE(fs::exists(path + "/.state.tmp-1"));
  EXPECT_TRUE(fs::exists(path + "/notes"));
  EXPECT_FALSE(bool(store->get(first)));
  EXPECT_EQ(store->get(second)->text(), "second");
}

TEST_F(Store, leavesNothingOfAnObjectThatCouldNotBeMade) {
  Result<ObjectStore> store = ObjectStore::open(path);
  ASSERT_TRUE(bool(store));
  Result<std::string> name = store->put([](const ObjectStore::Sink &) -> Status { return Error{"no more"}; });
  ASSERT_FALSE(bool(name));
  EXPECT_EQ(name.error().message, "no more");
  EXPECT_EQ(numObjects(), 0u);
}

TEST_F(Store, noticesEveryFlippedBitAndEveryCut) {
  std::string name;
  {
    Result<ObjectStore> store = ObjectStore::open(path);
    name = put(*store, "some bytes");
    ASSERT_TRUE(bool(store->publish("a state", {name})));
  }
  Result<ObjectStore> store = ObjectStore::open(path);
  for (const std::string &file : {std::string("state"), "objects/" + name}) {
    std::string whole = directory.read("store/" + file);
    auto isRefused = [&](const std::string &bytes) {
      directory.write("store/" + file, bytes);
      std::string message;
      if (file == "state") {
        Result<std::string> state = store->state();
        message = state ? "" : state.error().message;
      } else {
        Result<MappedFile> object = store->get(name);
        message = object ? "" : object.error().message;
      }
      return message.starts_with(file + " is damaged: ");
    };
    for (size_t bit = 0; bit < 8 * whole.size(); ++bit) {
      std::string bytes = whole;
      bytes[bit / 8] = static_cast<char>(bytes[bit / 8] ^ (1 << bit % 8));
      ASSERT_TRUE(isRefused(bytes)) << file << ", bit " << bit;
    }
    for (size_t size = 0; size < whole.size(); ++size)
      ASSERT_TRUE(isRefused(whole.substr(0, size))) << file << ", " << size << " bytes";
    EXPECT_TRUE(isRefused(whole + whole));
    EXPECT_FALSE(isRefused(whole));
  }
}

TEST_F(Store, belongsToOneAtATime) {
  {
    Result<ObjectStore> first = ObjectStore::open(path);
    ASSERT_TRUE(bool(first));
    Result<ObjectStore> second = ObjectStore::open(path);
    ASSERT_FALSE(bool(second));
    EXPECT_EQ(second.error().message, "is in use by process " + std::to_string(::getpid()));
    ObjectStore moved = std::move(*first);
    EXPECT_FALSE(bool(ObjectStore::open(path)));
  }
  EXPECT_TRUE(bool(ObjectStore::open(path)));
}

TEST_F(Store, saysWhyItCannotBeOpened) {
  directory.write("store", "a file");
  Result<ObjectStore> store = ObjectStore::open(path);
  ASSERT_FALSE(bool(store));
  EXPECT_EQ(store.error().message, "cannot make the directory: Not a directory");
  Result<ObjectStore> inside = ObjectStore::open(directory.file("none/none"));
  ASSERT_FALSE(bool(inside));
  EXPECT_EQ(inside.error().message, "cannot make the directory: No such file or directory");
}

TEST_F(Store, takesNamesOfObjectsOnly) {
  Result<ObjectStore> store = ObjectStore::open(path);
  ASSERT_TRUE(bool(store));
  directory.write("secret", "secret");
  for (const char *name : {"", "../../secret", "/etc/passwd", "state"})
    EXPECT_FALSE(bool(store->get(name))) << name;
}

} // namespace
