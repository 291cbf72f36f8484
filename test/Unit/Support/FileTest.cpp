#include "qopt/Support/File.h"
#include "TemporaryDirectory.h"
#include "qopt/Support/OutputPaths.h"
#include <array>
#include <chrono>
#include <csignal>
#include <cstring>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace qopt;

TEST(OutputPaths, AreNeitherInputsNorTheSameTwice) {
  TemporaryDirectory directory;
  std::string input = directory.write("input", "some bytes"), folder = input.substr(0, input.rfind('/'));
  std::string link = folder + "/link", hard = folder + "/hard", output = folder + "/output";
  ASSERT_EQ(symlink("input", link.c_str()), 0);
  ASSERT_EQ(::link(input.c_str(), hard.c_str()), 0);
  EXPECT_TRUE(bool(checkOutputPaths({output, folder + "/other", "", "-", "/dev/null", "/dev/null"}, {input, "", "-"})));
  for (const std::string &same :
       {input, link, hard, folder + "/../" + folder.substr(folder.rfind('/') + 1) + "/input"}) {
    Status status = checkOutputPaths({output, same}, {input});
    ASSERT_FALSE(bool(status)) << same;
    EXPECT_NE(status.error().message.find(same + ": is to be written, but it is also read: as " + input),
              std::string::npos);
  }
  // None of these is there yet.
  Status status = checkOutputPaths({output, folder + "/./output"}, {});
  ASSERT_FALSE(bool(status));
  EXPECT_NE(status.error().message.find("is to be written twice: also as " + output), std::string::npos);
}

TEST(MappedFile, ReadsRegularFilesOnly) {
  TemporaryDirectory directory;
  std::string path = directory.write("data", "some bytes");
  Result<MappedFile> file = MappedFile::open(path);
  ASSERT_TRUE(bool(file));
  EXPECT_EQ(file->text(), "some bytes");
  MappedFile moved = std::move(*file);
  EXPECT_EQ(moved.text(), "some bytes");

  Result<MappedFile> empty = MappedFile::open(directory.write("empty", ""));
  ASSERT_TRUE(bool(empty));
  EXPECT_EQ(empty->size(), 0u);

  Result<MappedFile> missing = MappedFile::open(directory.file("missing"));
  ASSERT_FALSE(bool(missing));
  EXPECT_EQ(missing.error().message, "cannot open: No such file or directory");
  Result<MappedFile> folder = MappedFile::open(directory.file("."));
  ASSERT_FALSE(bool(folder));
  EXPECT_EQ(folder.error().message, "is a directory");
  ASSERT_EQ(::mkfifo(directory.file("pipe").c_str(), 0600), 0);
  Result<MappedFile> pipe = MappedFile::open(directory.file("pipe"));
  ASSERT_FALSE(bool(pipe));
  EXPECT_EQ(pipe.error().message, "is not a regular file");
}

TEST(Pipes, AreNotWaitedFor) {
  TemporaryDirectory directory;
  std::string path = directory.file("pipe");
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  Result<std::string> nothing = readPipe(path);
  ASSERT_FALSE(bool(nothing));
  EXPECT_EQ(nothing.error().message, "is a pipe that nobody writes to");
  EXPECT_EQ(writeFileAtomically(path, "x").error().message, "is a pipe that nobody reads");

  int both = ::open(path.c_str(), O_RDWR);
  ASSERT_EQ(::write(both, "text", 4), 4);
  std::thread closing([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    ::close(both);
  });
  Result<std::string> text = readPipe(path);
  closing.join();
  ASSERT_TRUE(bool(text));
  EXPECT_EQ(*text, "text");
}

TEST(AtomicFile, AppearsOnlyWhenCommitted) {
  TemporaryDirectory directory;
  std::string path = directory.write("out", "old");
  {
    Result<AtomicFile> file = AtomicFile::create(path, 1000);
    ASSERT_TRUE(bool(file));
    ASSERT_TRUE(bool(file->write("half")));
    EXPECT_EQ(directory.read("out"), "old");
    EXPECT_EQ(directory.numFiles(), 2u);
  }
  EXPECT_EQ(directory.read("out"), "old");
  EXPECT_EQ(directory.numFiles(), 1u);

  // Less than was reserved: the file has what was written, no more.
  Result<AtomicFile> file = AtomicFile::create(path, 1000);
  ASSERT_TRUE(bool(file));
  ASSERT_TRUE(bool(file->write("all ")));
  ASSERT_TRUE(bool(file->write("of it")));
  EXPECT_EQ(file->position(), 9);
  ASSERT_TRUE(bool(file->commit()));
  EXPECT_EQ(directory.read("out"), "all of it");
  EXPECT_EQ(directory.numFiles(), 1u);
}

TEST(AtomicFile, SizedFilesAreWrittenInAnyOrder) {
  TemporaryDirectory directory;
  auto bytes = [](std::string_view text) { return std::as_bytes(std::span(text)); };
  auto write = [&](const std::string &path) {
    Result<AtomicFile> file = AtomicFile::createSized(path, 12);
    ASSERT_TRUE(bool(file));
    ASSERT_TRUE(bool(file->writeAt(8, bytes("last"))));
    ASSERT_TRUE(bool(file->writeAt(0, bytes("first"))));
    std::array<std::byte, 4> read;
    ASSERT_TRUE(bool(file->readAt(8, read)));
    EXPECT_EQ(std::memcmp(read.data(), "last", 4), 0);
    EXPECT_FALSE(bool(file->readAt(10, read))) << "there is nothing behind the end";
    ASSERT_TRUE(bool(file->commit()));
  };
  const std::string expected("first\0\0\0last", 12);
  write(directory.file("sized"));
  EXPECT_EQ(directory.read("sized"), expected);
  EXPECT_EQ(directory.numFiles(), 1u);

  // A pipe gets the same at the end.
  ASSERT_EQ(::mkfifo(directory.file("pipe").c_str(), 0600), 0);
  int reader = ::open(directory.file("pipe").c_str(), O_RDONLY | O_NONBLOCK);
  write(directory.file("pipe"));
  std::string received(100, 'x');
  received.resize(static_cast<size_t>(::read(reader, received.data(), received.size())));
  ::close(reader);
  EXPECT_EQ(received, expected);
}

TEST(AtomicFile, KeepsModeAndFollowsLinks) {
  TemporaryDirectory directory;
  std::string path = directory.write("out", "old");
  ASSERT_EQ(::chmod(path.c_str(), 0640), 0);
  ASSERT_EQ(::symlink("out", directory.file("link").c_str()), 0);
  ASSERT_TRUE(bool(writeFileAtomically(directory.file("link"), "new")));
  EXPECT_EQ(directory.read("out"), "new");
  EXPECT_TRUE(std::filesystem::is_symlink(directory.file("link")));
  struct stat info;
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 07777, 0640u);
  EXPECT_TRUE(bool(writeFileAtomically("/dev/null", "gone")));
}

TEST(AtomicFile, ReportsPathsItCannotWrite) {
  TemporaryDirectory directory;
  EXPECT_EQ(writeFileAtomically(directory.file("."), "x").error().message, "is a directory");
  EXPECT_EQ(writeFileAtomically(directory.file("no/such"), "x").error().message,
            "cannot open its directory: No such file or directory");
  EXPECT_EQ(writeFileAtomically(directory.file(std::string(300, 'n')), "x").error().message,
            "cannot create: File name too long");
  // The longest name there is still has room for its temporary.
  EXPECT_TRUE(bool(writeFileAtomically(directory.file(std::string(255, 'n')), "x")));
}

/// Runs `body` in a child process; its wait status.
template <typename Body>
static int inChild(Body body) {
  pid_t child = ::fork();
  if (child == 0) {
    body();
    ::_exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  return status;
}

TEST(AtomicFile, FullDiskLeavesTheOldFile) {
  TemporaryDirectory directory;
  std::string path = directory.write("out", "old");
  int status = inChild([&] {
    handleSignals("test");
    rlimit limit = {4096, 4096};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    Result<AtomicFile> reserved = AtomicFile::create(path, 1 << 20);
    if (reserved || reserved.error().message != "cannot reserve 1048576 bytes: File too large")
      ::_exit(1);
    Result<AtomicFile> grown = AtomicFile::create(path);
    if (!grown || grown->write(std::string(1 << 20, 'x')))
      ::_exit(2);
  });
  EXPECT_EQ(status, 0);
  EXPECT_EQ(directory.read("out"), "old");
}

TEST(AtomicFile, SignalRemovesTheTemporary) {
  for (int signal : {SIGINT, SIGTERM}) {
    TemporaryDirectory directory;
    int status = inChild([&] {
      handleSignals("test");
      Result<AtomicFile> file = AtomicFile::create(directory.file("out"));
      if (!file || !file->write("half"))
        ::_exit(1);
      ::raise(signal);
    });
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), 128 + signal);
    EXPECT_EQ(directory.numFiles(), 0u);
  }
}

TEST(AtomicFile, TheNextOneRemovesWhatAKilledProcessLeft) {
  TemporaryDirectory directory;
  int status = inChild([&] {
    Result<AtomicFile> file = AtomicFile::create(directory.file("out"));
    if (file && file->write("half"))
      ::raise(SIGKILL);
  });
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(directory.numFiles(), 1u);
  // What belongs to another output, or is not a temporary of ours, stays.
  EXPECT_TRUE(bool(writeFileAtomically(directory.file("other"), "x")));
  directory.write(".out.tmp-short", "x");
  EXPECT_EQ(directory.numFiles(), 3u);
  Result<AtomicFile> first = AtomicFile::create(directory.file("out"));
  ASSERT_TRUE(bool(first));
  EXPECT_EQ(directory.numFiles(), 3u) << "the file that was left is gone, that of `first` is new";
  Result<AtomicFile> second = AtomicFile::create(directory.file("out"));
  ASSERT_TRUE(bool(second));
  EXPECT_EQ(directory.numFiles(), 4u) << "of a process that lives nothing is removed";
  ASSERT_TRUE(bool(first->write("first")));
  ASSERT_TRUE(bool(second->write("second")));
  EXPECT_TRUE(bool(second->commit()));
  EXPECT_TRUE(bool(first->commit()));
  EXPECT_EQ(directory.read("out"), "first");
  EXPECT_EQ(directory.numFiles(), 3u);
}

TEST(MappedFile, IsCutWhileItIsRead) {
  TemporaryDirectory directory;
  std::string path = directory.write("data", std::string(100'000, 'x'));
  int status = inChild([&] {
    handleSignals("test");
    Result<MappedFile> file = MappedFile::open(path);
    if (!file || ::truncate(path.c_str(), 10) != 0)
      ::_exit(2);
    volatile char last = file->text().back();
    (void)last;
  });
  EXPECT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), 1);
}

TEST(MappedFile, IsChangedWhileItIsRead) {
  TemporaryDirectory directory;
  std::string path = directory.write("data", "some bytes");
  Result<MappedFile> file = MappedFile::open(path);
  ASSERT_TRUE(bool(file));
  EXPECT_TRUE(bool(writeFileAtomically(directory.file("out"), "old")));
  // A file that takes its place leaves it as it was.
  directory.write("new", "other bytes");
  ASSERT_EQ(::rename(directory.file("new").c_str(), path.c_str()), 0);
  EXPECT_EQ(file->text(), "some bytes");
  EXPECT_TRUE(bool(writeFileAtomically(directory.file("out"), "old")));
  file = MappedFile::open(path);
  ASSERT_TRUE(bool(file));
  EXPECT_EQ(mappedFiles(), std::vector<std::string>{path});
  ASSERT_EQ(::truncate(path.c_str(), 3), 0);
  Status status = writeFileAtomically(directory.file("out"), "new");
  ASSERT_FALSE(bool(status));
  EXPECT_EQ(status.error().message, path + " changed while it was read");
  EXPECT_EQ(directory.read("out"), "old");
}
